//! Hello answers on a port inside an enclave, and asks troth's agent for what only the agent can give.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const AGENT: &str = "/run/troth/agent.sock";
const PATIENCE: Duration = Duration::from_secs(30);
const MOST_REQUEST: u64 = 8 << 10;
const MOST_ANSWER: u64 = 1 << 20;
const MOST_AT_ONCE: usize = 64;
const STATEMENT: &str = "hello from rust"; // what the evidence vouches for

/// A status and a body.
type Answer = (u16, String);

fn main() -> io::Result<()> {
    serve(&TcpListener::bind("127.0.0.1:8080")?, Path::new(AGENT))
}

fn serve(listener: &TcpListener, agent: &'static Path) -> io::Result<()> {
    static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
    for stream in listener.incoming() {
        let stream = stream?;
        if AT_ONCE.load(Ordering::Relaxed) < MOST_AT_ONCE {
            AT_ONCE.fetch_add(1, Ordering::Relaxed);
            thread::spawn(move || {
                let _ = one(stream, agent); // whoever asked is gone
                AT_ONCE.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
    Ok(())
}

/// Reads one request's head and answers it.
fn one(mut stream: TcpStream, agent: &Path) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new((&stream).take(MOST_REQUEST)).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let (status, body) = match first.split(' ').collect::<Vec<_>>()[..] {
        ["GET", path, "HTTP/1.1" | "HTTP/1.0"] => answer(path, agent),
        _ => Ok((405, "only GET is answered".into())),
    }
    .unwrap_or_else(|_| (502, "the agent does not answer".into()));
    let size = body.len() + 1;
    write!(
        stream,
        "HTTP/1.1 {status} -\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n{body}\n"
    )
}

fn answer(path: &str, agent: &Path) -> io::Result<Answer> {
    match path {
        "/" => ask(agent, "/v1/info", "")
            .map(|(status, info)| (status, format!("{STATEMENT}: {info}"))),
        "/random" => ask(agent, "/v1/random", r#"{"size":16}"#),
        "/identity" => ask(agent, "/v1/identity", ""),
        _ => match path.strip_prefix("/evidence/") {
            None => Ok((404, "places: / /random /identity /evidence/NONCE".into())),
            Some(nonce)
                if nonce.len() % 2 == 1 || !nonce.bytes().all(|b| b.is_ascii_hexdigit()) =>
            {
                Ok((400, "the nonce is not hex".into()))
            }
            Some(nonce) => {
                let data: String = STATEMENT.bytes().map(|b| format!("{b:02x}")).collect();
                let nonce = nonce.to_ascii_lowercase();
                ask(
                    agent,
                    "/v1/attest",
                    &format!(r#"{{"nonce":"{nonce}","app_data":"{data}"}}"#),
                )
            }
        },
    }
}

/// The agent's status and answer; an empty body makes it a GET.
fn ask(agent: &Path, path: &str, body: &str) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(agent)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let method = if body.is_empty() { "GET" } else { "POST" };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut text = String::new();
    stream.take(MOST_ANSWER).read_to_string(&mut text)?;
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    match (status, text.split_once("\r\n\r\n")) {
        (Some(status), Some((_, body))) => Ok((status, body.into())),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests;
