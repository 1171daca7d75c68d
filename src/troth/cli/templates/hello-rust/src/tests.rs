use super::*;
use std::os::unix::net::UnixListener;

/// The service beside a server that stands for the agent and says what it was asked.
fn start(name: &str, with_agent: bool) -> std::net::SocketAddr {
    let socket = std::env::temp_dir().join(format!("hello-{}-{name}.sock", std::process::id()));
    if with_agent {
        let agent = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || {
            for stream in agent.incoming() {
                echo(stream.unwrap());
            }
        });
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket: &'static Path = Box::leak(socket.into_boxed_path());
    thread::spawn(move || serve(&listener, socket));
    address
}

fn echo(mut stream: UnixStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut line, mut size) = (String::new(), String::new(), 0);
    reader.read_line(&mut first).unwrap();
    while reader.read_line(&mut line).unwrap() > 2 {
        if let Some(number) = line.strip_prefix("Content-Length: ") {
            size = number.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; size];
    reader.read_exact(&mut body).unwrap();
    let asked = first.trim_end().trim_end_matches(" HTTP/1.1");
    let body = format!("{asked} {}", String::from_utf8(body).unwrap());
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
}

fn get(address: std::net::SocketAddr, place: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {place} HTTP/1.1\r\nHost: hello\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    format!("{} {body}", head.split(' ').nth(1).unwrap())
}

#[test]
fn each_place_asks_the_agent() {
    let address = start("asks", true);
    for (place, want) in [
        ("/", "200 hello from rust: GET /v1/info \n"),
        ("/random", "200 POST /v1/random {\"size\":16}\n"),
        ("/identity", "200 GET /v1/identity \n"),
        ("/evidence/00FF", "200 POST /v1/attest {\"nonce\":\"00ff\",\"app_data\":\"68656c6c6f2066726f6d2072757374\"}\n"),
        ("/evidence/%22x", "400 the nonce is not hex\n"),
        ("/elsewhere", "404 places: / /random /identity /evidence/NONCE\n"),
    ] {
        assert_eq!(get(address, place), want);
    }
}

#[test]
fn without_an_agent_it_says_so() {
    assert_eq!(
        get(start("none", false), "/random"),
        "502 the agent does not answer\n"
    );
}
