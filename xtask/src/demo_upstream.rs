//! The service behind the quickstart: answers every request with what it received.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

/// Serves until the process ends.
pub(crate) fn start(address: &str) -> std::io::Result<()> {
    let listener = TcpListener::bind(address)?;
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || serve(&connection));
        }
    });
    Ok(())
}

/// Answers request after request on one connection; a client that goes away ends it.
fn serve(connection: &TcpStream) {
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok);
    while let Some(request_line) = lines.next() {
        let caller = lines
            .by_ref()
            .take_while(|line| !line.is_empty())
            .filter_map(|line| {
                line.to_ascii_lowercase().strip_prefix("x-caller: ").map(str::to_owned)
            })
            .last();
        let target = request_line.split(' ').nth(1).unwrap_or("/");
        let caller = caller.unwrap_or_else(|| "nobody".to_owned());
        let body =
            format!("{{\"upstream\":\"orders\",\"path\":{target:?},\"caller\":{caller:?}}}\n");
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        if (&mut &*connection).write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}
