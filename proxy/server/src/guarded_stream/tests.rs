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
    stream.head.awaited.store(false, Ordering::Relaxed);
    stream.head.arrived.fetch_add(1, Ordering::Relaxed);
    client.write_all(b"body").await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    stream.head.awaited.store(true, Ordering::Relaxed);
    let writing = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        client.write_all(b"two").await
    });
    stream.read_exact(&mut [0; 3]).await.unwrap();
    writing.await.unwrap().unwrap();
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
