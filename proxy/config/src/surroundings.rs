//! What a configuration refers to outside of its text: variables and files.

use std::io;
use std::path::Path;

/// Where variables and files come from; another than [`Process`] for tests.
pub trait Surroundings {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<Vec<u8>>;
    /// The content of a file.
    fn read(&self, file: &Path) -> io::Result<Vec<u8>>;
    /// The content of a file that holds a secret, for those who keep what they read.
    fn secret(&self, file: &Path) -> io::Result<Vec<u8>> {
        self.read(file)
    }
    /// Whether a file is there.
    fn is_file(&self, file: &Path) -> bool;
    /// Whether a directory is there.
    fn is_directory(&self, directory: &Path) -> bool;
}

/// The environment and the files of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Process;

impl Surroundings for Process {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        // The standard library panics on names no environment can hold.
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes)
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(file)
    }

    fn is_file(&self, file: &Path) -> bool {
        file.is_file()
    }

    fn is_directory(&self, directory: &Path) -> bool {
        directory.is_dir()
    }
}
