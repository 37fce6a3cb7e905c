//! Owns how streams are listened to: whoever sends without end is not worth waking up for at each of its packets. Takes
//! the two ports of a session that goes to sleep; gives the low-water marks of their sockets.
//!
//! A worker is done with what came before the sender has written much more, so it would sleep and wake, and be
//! woken by the sender, for every few records; that costs as much as moving them. In a stream that has gone on for
//! a while the kernel is asked to ring only when a good part of it is there (socket(7), SO_RCVLOWAT). It never says
//! that less has come, so a timer does: then the stream is over, or slow, and every byte is listened for again.

use crate::port::Port;
use crate::pump::Pump;
use std::future::Future as _;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// What one side has to have sent, from wake-up to wake-up, while the other said nothing, before the end of it may
/// be late by [`PATIENCE`].
const LONG_BYTES: u64 = 16 * 1024 * 1024;

/// The same after a pause in such a stream.
const AGAIN_BYTES: u64 = 1024 * 1024;

/// What each wake-up has to bring until then. PostgreSQL and its clients send 8 KiB at a time; what does not bring a
/// second one by the time that a worker is awake is no stream.
const STEADY_BYTES: u64 = 16 * 1024;

/// What is waited for in a stream.
const PART_BYTES: usize = 256 * 1024;

/// How long. The runtime's timers ring by milliseconds.
const PATIENCE: Duration = Duration::from_millis(4);

/// The streams of a session, from when one may have begun until its server connection goes.
pub struct Flow {
    client: Leg,
    server: Leg,
}

/// What comes from one side.
struct Leg {
    /// Bytes that had come when the session last went to sleep.
    slept_at: u64,
    /// Bytes that have come since, from wake-up to wake-up.
    run: u64,
    /// The kernel rings for parts alone; this does if nothing came.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Flow {
    /// From now on, between these two.
    fn new(client: &Port, server: &Port) -> Flow {
        let from = |port: &Port| Leg {
            slept_at: port.bytes_in,
            run: 0,
            patience: None,
        };
        Flow {
            client: from(client),
            server: from(server),
        }
    }

    /// Called when the session goes to sleep.
    fn sleeps(&mut self, cx: &mut Context<'_>, client: &Port, server: &Port) {
        let (from_client, from_server) = (self.client.came(client), self.server.came(server));
        self.client
            .sleeps(cx, client, (from_client, from_server > 0));
        self.server
            .sleeps(cx, server, (from_server, from_client > 0));
    }

    /// From now on every byte is listened for.
    #[cold]
    fn ended(mut self, client: &Port, server: &Port) {
        self.client.ends(client);
        self.server.ends(server);
    }
}

impl Pump<'_> {
    /// Called when the session goes to sleep.
    #[inline]
    pub(crate) fn listen(&mut self, cx: &mut Context<'_>) {
        if self.client.port.streams() | self.server.port.streams() || self.server.flow.is_some() {
            self.keep_flow(cx);
        }
    }

    #[cold]
    fn keep_flow(&mut self, cx: &mut Context<'_>) {
        let (client, server) = (&self.client.port, &self.server.port);
        let flow = &mut self.server.flow;
        let flow = flow.get_or_insert_with(|| Box::new(Flow::new(client, server)));
        flow.sleeps(cx, client, server);
    }

    /// Whoever has the ports next listens for every byte.
    #[inline]
    pub(crate) fn end_flow(&mut self) {
        if let Some(flow) = self.server.flow.take() {
            flow.ended(&self.client.port, &self.server.port);
        }
    }
}

impl Leg {
    /// Bytes that came since the session last slept.
    fn came(&mut self, port: &Port) -> u64 {
        let came = port.bytes_in - self.slept_at;
        self.slept_at = port.bytes_in;
        came
    }

    /// `is_answered`: the other side sent something, too.
    fn sleeps(&mut self, cx: &mut Context<'_>, port: &Port, (came, is_answered): (u64, bool)) {
        if is_answered || (1..STEADY_BYTES).contains(&came) {
            self.run = 0;
        } else {
            self.run += came;
        }
        match &mut self.patience {
            Some(timer) if came > 0 => timer.as_mut().reset(Instant::now() + PATIENCE),
            None if self.run >= LONG_BYTES && port.socket.rings_for(PART_BYTES) => {
                self.patience = Some(Box::pin(sleep(PATIENCE)));
            }
            _ => {}
        }
        if let Some(timer) = &mut self.patience
            && timer.as_mut().poll(cx).is_ready()
        {
            self.ends(port);
            self.run = LONG_BYTES - AGAIN_BYTES;
        }
    }

    fn ends(&mut self, port: &Port) {
        self.run = 0;
        if self.patience.take().is_some() {
            port.socket.rings_for(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::{Detached, low_water};
    use buf::Cipher;
    use session::fault::Side;
    use std::future::poll_fn;
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::task::Waker;
    use tls::Engine;

    fn port(side: Side) -> (Port, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let ours = listener.accept().unwrap().0;
        ours.set_nonblocking(true).unwrap();
        let ours = Detached::Tcp(ours).attach().unwrap();
        let engine = Engine::unencrypted_by_configuration();
        (Port::new(side, ours, engine, Cipher::none()), peer)
    }

    /// A session of which one side streams to us.
    struct Scene {
        flow: Flow,
        client: (Port, TcpStream),
        server: (Port, TcpStream),
    }

    impl Scene {
        fn new() -> Scene {
            let (client, server) = (port(Side::Client), port(Side::Server));
            Scene {
                flow: Flow::new(&client.0, &server.0),
                client,
                server,
            }
        }

        /// The server sends so much, which is read and thrown away; then the session sleeps.
        async fn wake(&mut self, bytes: usize) {
            let (port, peer) = &mut self.server;
            peer.write_all(&vec![7; bytes]).unwrap();
            let end = port.bytes_in + bytes as u64;
            while port.bytes_in < end {
                port.receive().await.unwrap();
                port.plain_in.clear();
            }
            let mut cx = Context::from_waker(Waker::noop());
            assert!(port.poll_receive(&mut cx).is_pending());
            self.sleep();
        }

        fn sleep(&mut self) {
            let mut cx = Context::from_waker(Waker::noop());
            self.flow.sleeps(&mut cx, &self.client.0, &self.server.0);
        }

        async fn stream(&mut self, bytes: u64) {
            const WAKE: u64 = 64 * 1024;
            for _ in 0..bytes / WAKE {
                self.wake(WAKE as usize).await;
            }
        }

        fn rings_for(&self) -> usize {
            let waits = self.flow.server.patience.is_some();
            let bytes = low_water(&self.server.0.socket);
            assert_eq!(waits, bytes > 1);
            bytes
        }
    }

    #[tokio::test]
    async fn a_long_stream_rings_for_its_parts_and_its_end_comes_all_the_same() {
        let mut scene = Scene::new();
        scene.stream(LONG_BYTES - 65_536).await;
        assert_eq!(scene.rings_for(), 1);
        scene.stream(65_536).await;
        assert_eq!(scene.rings_for(), PART_BYTES);
        let Scene {
            flow,
            client: (client, _),
            server: (server, peer),
        } = &mut scene;
        peer.write_all(b"end").unwrap();
        let arrived = poll_fn(|cx| {
            flow.sleeps(cx, client, server);
            server.poll_receive(cx)
        });
        arrived.await.unwrap();
        assert_eq!(server.plain_in.bytes(), b"end");
        assert_eq!(scene.rings_for(), 1);
        // It goes on as it was.
        scene.server.0.plain_in.clear();
        scene.sleep();
        scene.stream(AGAIN_BYTES).await;
        assert_eq!(scene.rings_for(), 1, "what came was the end of something");
    }

    #[tokio::test]
    async fn a_part_rings_before_the_patience_is_over() {
        let mut scene = Scene::new();
        scene.stream(LONG_BYTES).await;
        let patience = &mut scene.flow.server.patience;
        *patience = patience
            .take()
            .map(|_| Box::pin(sleep(Duration::from_secs(3600))));
        scene.wake(PART_BYTES).await;
        assert_eq!(scene.rings_for(), PART_BYTES);
    }

    #[tokio::test]
    async fn what_pauses_is_a_stream_again_after_less() {
        let mut scene = Scene::new();
        scene.stream(LONG_BYTES).await;
        sleep(2 * PATIENCE).await;
        scene.sleep();
        assert_eq!(scene.rings_for(), 1);
        scene.stream(AGAIN_BYTES).await;
        assert_eq!(scene.rings_for(), PART_BYTES);
    }

    #[tokio::test]
    async fn drops_and_conversations_are_no_streams() {
        let mut scene = Scene::new();
        for _ in 0..3 {
            scene.stream(LONG_BYTES - 65_536).await;
            scene.wake(100).await;
        }
        assert_eq!(scene.rings_for(), 1);
        for _ in 0..3 {
            scene.stream(LONG_BYTES - 65_536).await;
            let (port, peer) = &mut scene.client;
            peer.write_all(b"more").unwrap();
            port.receive().await.unwrap();
            port.plain_in.clear();
            scene.sleep();
        }
        assert_eq!(scene.rings_for(), 1);
    }

    #[tokio::test]
    async fn who_has_the_ports_next_is_told_of_every_byte() {
        let mut scene = Scene::new();
        scene.stream(LONG_BYTES).await;
        scene.server.1.write_all(b"x").unwrap();
        scene.flow.ended(&scene.client.0, &scene.server.0);
        assert_eq!(low_water(&scene.server.0.socket), 1);
        scene.server.0.receive().await.unwrap();
        assert_eq!(scene.server.0.plain_in.bytes(), b"x");
    }
}
