//! Flow control of one HTTP connection: the stream passes one request at a time to the HTTP
//! implementation.
//!
//! actix-http decodes every request in its read buffer of 128 KiB before it handles the first one,
//! which costs about 4 KiB for each. It also stops reading while that buffer is full. The stream
//! therefore delivers bytes up to the end of a request's head, and the body as the handler reads
//! it. The next head follows after the response was sent.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use memchr::memchr_iter;

use super::limits::BodyMemory;

/// State shared by a connection's stream and the requests on it, which run on one thread.
#[derive(Debug, Default)]
pub(super) struct Flow {
    phase: Cell<Phase>,
    scan: Cell<Scan>,
    /// The connection's task, if a read waits for the phase to change.
    reader: RefCell<Option<Waker>>,
    /// True if the end of the request must wake the reader. Otherwise the next bytes do.
    wakes_at_end: Cell<bool>,
    /// Memory of the request's body.
    memory: RefCell<Vec<BodyMemory>>,
}

/// The bytes that the stream may deliver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Bytes up to the end of a head.
    #[default]
    Head,
    /// Nothing: a head was delivered, and its response is not sent yet.
    Closed,
    /// The handler waits for its request's body: this many bytes, or up to the next empty line if
    /// the length is unknown. A chunked body ends with one.
    Body(Length),
    /// The handler does not wait for the rest of the body.
    BodyPaused(Length),
    /// The response is sent, but the body was not read: its rest is skipped.
    Skip,
    /// An empty line was skipped, after which the next head could start.
    SkipPaused,
}

/// The length of the rest of a body, `None` for a chunked one.
type Length = Option<u64>;

/// Progress towards an empty line. A parser may accept LF without CR, so both end a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Scan {
    /// Before the first byte of a request. Parsers skip line breaks here.
    #[default]
    Leading,
    InLine,
    LineEnd,
    LineEndCr,
}

impl Scan {
    /// Returns the number of bytes up to the end of the first empty line, or all.
    fn until_empty_line(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        if *self == Self::Leading {
            let is_break = |byte: &&u8| matches!(byte, b'\r' | b'\n');
            at = bytes.iter().take_while(is_break).count();
            if at == bytes.len() {
                return (at, false);
            }
            *self = Self::InLine;
        }
        // Line by line, because searching one byte is much faster than a decision for each.
        let start = at;
        for newline in memchr_iter(b'\n', &bytes[start..]).map(|found| start + found) {
            let line = &bytes[at..newline];
            at = newline + 1;
            if self.continues_with(line) != Self::InLine {
                return (at, true);
            }
            *self = Self::LineEnd;
        }
        *self = self.continues_with(&bytes[at..]);
        (bytes.len(), false)
    }

    /// Returns the state after further bytes of a line.
    fn continues_with(self, line: &[u8]) -> Self {
        match (self, line) {
            (_, []) => self,
            (Self::LineEnd, b"\r") => Self::LineEndCr,
            _ => Self::InLine,
        }
    }
}

impl Flow {
    /// Returns the number of leading `bytes` that may be delivered now, and counts them as
    /// delivered. Zero means that the reader waits for a change of the phase.
    pub(super) fn deliver(&self, bytes: &[u8]) -> usize {
        let mut scan = self.scan.get();
        let (count, next) = match self.phase.get() {
            Phase::Closed | Phase::BodyPaused(_) => return 0,
            // The caller reads again after the HTTP implementation has handled what it received.
            Phase::SkipPaused => {
                self.phase.set(Phase::Skip);
                return 0;
            }
            Phase::Head => match scan.until_empty_line(bytes) {
                (count, true) => (count, Phase::Closed),
                (count, false) => (count, Phase::Head),
            },
            Phase::Body(Some(left)) => {
                let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let left = Some(left - count as u64);
                (count, Phase::BodyPaused(left))
            }
            Phase::Body(None) => match scan.until_empty_line(bytes) {
                (count, true) => {
                    // The line may be the body's end or a part of it.
                    scan = Scan::InLine;
                    (count, Phase::BodyPaused(None))
                }
                (count, false) => (count, Phase::BodyPaused(None)),
            },
            Phase::Skip => {
                let (count, is_empty_line) = scan.until_empty_line(bytes);
                match is_empty_line {
                    true => {
                        scan = Scan::InLine;
                        (count, Phase::SkipPaused)
                    }
                    false => (count, Phase::Skip),
                }
            }
        };
        self.scan.set(scan);
        self.phase.set(next);
        count
    }

    /// Registers the task to wake when more may be delivered; at the end of the request only if
    /// `wakes_at_end`.
    pub(super) fn wait(&self, waker: &Waker, wakes_at_end: bool) {
        self.wakes_at_end.set(wakes_at_end);
        match self.phase.get() {
            Phase::Skip => waker.wake_by_ref(),
            _ => *self.reader.borrow_mut() = Some(waker.clone()),
        }
    }

    /// Keeps memory until the response is sent.
    pub(super) fn hold(&self, memory: BodyMemory) {
        self.memory.borrow_mut().push(memory);
    }

    /// Returns true while the server waits for bytes that the client must send.
    pub(super) fn expects_bytes(&self) -> bool {
        match self.phase.get() {
            Phase::Head => self.scan.get() != Scan::Leading,
            Phase::Body(_) => true,
            Phase::Closed | Phase::BodyPaused(_) | Phase::Skip | Phase::SkipPaused => false,
        }
    }

    /// Returns true between two requests.
    pub(super) fn is_idle(&self) -> bool {
        self.phase.get() == Phase::Head && self.scan.get() == Scan::Leading
    }

    /// Starts a request with a body of this length, if it has one.
    pub(super) fn start(&self, body: Option<Length>) {
        self.scan.set(Scan::InLine);
        self.phase
            .set(body.map_or(Phase::Closed, Phase::BodyPaused));
    }

    /// The handler waits for a part of the body.
    pub(super) fn want_body(&self) {
        if let Phase::BodyPaused(left) = self.phase.get() {
            self.phase.set(Phase::Body(left));
            self.wake();
        }
    }

    /// The handler has read the body completely.
    pub(super) fn end_body(&self) {
        if let Phase::Body(_) | Phase::BodyPaused(_) = self.phase.get() {
            self.phase.set(Phase::Closed);
        }
    }

    /// The response is sent, or the request was dropped.
    pub(super) fn finish(&self) {
        self.memory.borrow_mut().clear();
        match self.phase.get() {
            Phase::BodyPaused(Some(0)) | Phase::Closed | Phase::Head => {
                self.scan.set(Scan::Leading);
                self.phase.set(Phase::Head);
                if !self.wakes_at_end.get() {
                    return;
                }
            }
            // The HTTP implementation discards the rest, or closes the connection.
            Phase::Body(_) | Phase::BodyPaused(_) | Phase::Skip | Phase::SkipPaused => {
                self.phase.set(Phase::Skip);
            }
        }
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.reader.borrow_mut().take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    #[test]
    fn one_head_is_delivered_per_response() {
        let flow = Flow::default();
        let pipelined = [HEAD, HEAD].concat();
        assert_eq!(flow.deliver(&pipelined), HEAD.len());
        assert_eq!(flow.deliver(HEAD), 0);
        flow.start(None);
        assert_eq!(flow.deliver(HEAD), 0);
        flow.finish();
        assert!(flow.is_idle());
        assert_eq!(flow.deliver(HEAD), HEAD.len());
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    // Conformance: operation/8
    #[test]
    fn each_response_wakes_a_waiting_reader() {
        // More than the read buffer of the HTTP implementation, which stops reading at its end.
        let pipelined = HEAD.repeat((300 << 10) / HEAD.len());
        for read_bytes in [1, 7, HEAD.len(), 8 << 10] {
            let (flow, woken) = (Flow::default(), Arc::new(Woken::default()));
            let waker = Waker::from(Arc::clone(&woken));
            let (mut at, mut unparsed, mut responses) = (0, 0, 0);
            while responses < pipelined.len() / HEAD.len() {
                let read = &pipelined[at..pipelined.len().min(at + read_bytes)];
                let delivered = flow.deliver(read);
                at += delivered;
                unparsed += delivered;
                assert!(unparsed <= HEAD.len(), "{unparsed} bytes before a response");
                if delivered > 0 && unparsed < HEAD.len() {
                    continue;
                }
                // The reader has bytes that it may not deliver, so no event of the socket wakes it.
                flow.wait(&waker, true);
                flow.start(None);
                flow.finish();
                (unparsed, responses) = (0, responses + 1);
                assert_eq!(woken.0.load(Ordering::Relaxed), responses, "stalled");
            }
            assert_eq!(at, pipelined.len());
        }
    }

    #[test]
    fn heads_end_at_any_empty_line() {
        for head in [
            "\r\n\nGET / HTTP/1.1\n\n",
            "GET / HTTP/1.1\r\n\n",
            "GET / HTTP/1.1\n\r\n",
        ] {
            let flow = Flow::default();
            let pipelined = [head, head].concat();
            // Byte by byte, because an empty line can arrive in parts.
            let delivered = pipelined
                .bytes()
                .map(|byte| flow.deliver(&[byte]))
                .sum::<usize>();
            assert_eq!(delivered, head.len(), "{head:?}");
        }
    }

    #[test]
    fn body_is_delivered_on_demand() {
        let flow = Flow::default();
        assert_eq!(flow.deliver(HEAD), HEAD.len());
        flow.start(Some(Some(4)));
        assert_eq!(flow.deliver(b"bodyGET"), 0, "the handler does not wait");
        flow.want_body();
        assert_eq!(flow.deliver(b"bo"), 2);
        flow.want_body();
        assert_eq!(flow.deliver(b"dyGET"), 2);
        flow.want_body();
        assert_eq!(flow.deliver(b"GET"), 0);
        flow.end_body();
        flow.finish();
        assert!(flow.is_idle());
    }

    #[test]
    fn chunked_body_ends_before_next_head() {
        let flow = Flow::default();
        assert_eq!(flow.deliver(HEAD), HEAD.len());
        flow.start(Some(None));
        let chunks = b"4\r\n\r\n\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let all = [&chunks[..], HEAD].concat();
        let mut at = 0;
        while at < chunks.len() {
            flow.want_body();
            let delivered = flow.deliver(&all[at..]);
            assert!(delivered > 0);
            at += delivered;
        }
        assert_eq!(at, chunks.len());
        flow.end_body();
        flow.finish();
        assert_eq!(flow.deliver(HEAD), HEAD.len());
    }
}
