use tokio::io::AsyncWriteExt;

use super::*;

fn guarded(allowance: Duration) -> (tokio::io::DuplexStream, GuardedStream) {
    let (client, server) = tokio::io::duplex(64);
    (client, GuardedStream::new(Box::new(server), allowance, Arc::new(Telemetry::silent())))
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_is_cut() {
    let (mut client, mut stream) = guarded(Duration::from_secs(5));
    let trickle = tokio::spawn(async move {
        while client.write_all(b"G").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    });
    let error = stream.read_to_end(&mut Vec::new()).await.expect_err("the head is late");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    drop(stream);
    trickle.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_between_exchanges_is_not_cut() {
    let (mut client, mut stream) = guarded(Duration::from_secs(5));
    client.write_all(b"one").await.unwrap();
    stream.read_exact(&mut [0; 3]).await.unwrap();
    stream.head.arrived();
    client.write_all(b"body").await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    stream.head.expect(Instant::now() + Duration::from_secs(100));
    let writing = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        client.write_all(b"two").await
    });
    stream.read_exact(&mut [0; 3]).await.unwrap();
    writing.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_given_up_after_its_time_and_no_head_gets_more_than_its_own() {
    let (mut client, mut stream) = guarded(Duration::from_secs(5));
    for text in [b"one", b"two"] {
        client.write_all(text).await.unwrap();
        stream.read_exact(&mut [0; 3]).await.unwrap();
        stream.head.arrived();
        stream.head.expect(Instant::now() + Duration::from_secs(60));
    }
    let began = Instant::now();
    stream.read_u8().await.expect_err("it is idle");
    assert_eq!(began.elapsed().as_secs(), 60);

    stream.head.expect(Instant::now() + Duration::from_secs(60));
    client.write_all(b"GET").await.unwrap();
    stream.read_exact(&mut [0; 3]).await.unwrap();
    let began = Instant::now();
    stream.read_u8().await.expect_err("the head is late");
    assert_eq!(began.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_late_head_is_answered() {
    let (client, server) = tokio::io::duplex(4096);
    let telemetry = Arc::new(Telemetry::silent());
    let mut stream = GuardedStream::new(Box::new(server), Duration::from_secs(5), telemetry);
    let mut client = client;
    client.write_all(b"GET / HT").await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.expect_err("the head is late");
    drop(stream);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(answer.contains("\"code\":\"slow-head\""), "{answer}");
}

#[tokio::test]
async fn a_request_shorter_than_the_preface_is_seen() {
    let (mut client, mut stream) = guarded(Duration::from_secs(5));
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut seen = [0; 24];
    assert!(stream.try_peek(&mut seen).await.unwrap());
    assert_ne!(seen, H2_PREFACE);
    let mut read = [0; 18];
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"GET / HTTP/1.0\r\n\r\n");
}
