//! Authorizers of AWS Lambda, built as `docs/lambda-authorizers.md` says.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ring::digest::{Context, SHA256};

use crate::clients::{said, tool};
use crate::program::target;

/// A component of an authorizer in JavaScript, given as the text of `index.mjs`.
///
/// # Panics
///
/// Where it does not build.
pub fn lambda_in_javascript(handler: &str) -> Vec<u8> {
    let library = ours("javascript/portcullis-lambda.js");
    let pins = ours("../tests/clients/package-lock.json");
    kept(handler, &[&library, &pins], |function, output| {
        fs::write(function.join("index.mjs"), handler).expect("a file can be written");
        let entry = function.join("portcullis-lambda.js");
        fs::copy(&library, &entry).expect("a file can be copied");
        let mut command = tool("node", "node_modules/.bin/componentize-js");
        command.arg("--wit").arg(ours("wit")).args(["--world-name", "lambda-authorizer"]);
        command.args(["--disable", "http", "fetch-event"]).arg("--out").arg(output);
        said(command.arg("--").arg(entry));
    })
}

/// A component of an authorizer in Python, given as the text of `lambda_function.py`.
///
/// # Panics
///
/// Where it does not build.
pub fn lambda_in_python(handler: &str) -> Vec<u8> {
    let library = ours("python/portcullis_lambda.py");
    let pins = ours("../tests/clients/requirements.txt");
    kept(handler, &[&library, &pins], |function, output| {
        fs::write(function.join("lambda_function.py"), handler).expect("a file can be written");
        let mut command = tool("python", "bin/componentize-py");
        command.arg("--wit-path").arg(ours("wit")).args(["--world", "lambda-authorizer"]);
        command.args(["componentize", "portcullis_lambda", "--python-path"]);
        command.arg(ours("python")).arg("--python-path").arg(function);
        said(command.arg("--output").arg(output));
    })
}

fn ours(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lambda").join(path)
}

/// What was built of the same text and files before, or is now, in a directory of its
/// own: a build takes seconds.
fn kept(handler: &str, files: &[&Path], build: impl FnOnce(&Path, &Path)) -> Vec<u8> {
    // One at a time, so that tests side by side do not build the same.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING.lock();
    let folder = target().join("lambda");
    let built = folder.join(format!("{}.wasm", digest(handler, files)));
    if !built.is_file() {
        fs::create_dir_all(&folder).expect("a folder for what is built");
        let function = tempfile::tempdir_in(&folder).expect("a temporary directory");
        let output = function.path().join("built.wasm");
        build(function.path(), &output);
        fs::rename(&output, &built).expect("a file can be renamed");
    }
    fs::read(&built).expect("what was built can be read")
}

fn digest(handler: &str, files: &[&Path]) -> String {
    let contract = fs::read_dir(ours("../wit")).expect("the contract is there");
    let mut paths: Vec<PathBuf> =
        contract.map(|entry| entry.expect("a file of the contract").path()).collect();
    paths.sort();
    paths.push(ours("wit/lambda.wit"));
    paths.extend(files.iter().map(|path| path.to_path_buf()));
    let read = |path: PathBuf| fs::read(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    let mut digest = Context::new(&SHA256);
    for bytes in paths.into_iter().map(read).chain([handler.into()]) {
        digest.update(&bytes.len().to_le_bytes());
        digest.update(&bytes);
    }
    digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
