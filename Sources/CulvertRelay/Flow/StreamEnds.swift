/// How far each direction of a flow has come: half-close as a table (RFC 4254 §5.3, RFC 9293 §3.6).
///
/// | source: the socket is read | peer: the channel gives | sink: the socket is written | what may still happen |
/// |---|---|---|---|
/// | sending | sending | open | everything |
/// | sending | ended | open | the rest is written, then the socket's sink is shut; it is read on |
/// | sending | ended | shut | it is read on: half-closed by the far side |
/// | finished | sending | open | the channel's payload is written: half-closed by the near side |
/// | finished | ended | open | the rest is written, then the sink is shut |
/// | finished | ended | shut | nothing: the end, whole |
/// | sending or finished | closed | open | the rest is written, then the sink is shut; the socket is not read any more |
/// | sending or finished | closed | shut | nothing: the end, whole |
/// | sending | sending or ended | failed | what the socket still holds is read to its end; payload is dropped and credited |
/// | finished | any | failed | nothing: the end, cut short |
/// | sending | closed | failed | nothing: the end, cut short |
/// | failed | any | any | nothing: the end, cut short |
///
/// A sink is shut only after the peer has ended or closed and everything before that is written, so the FIN that it
/// sends never lies. After a failed send no EOF follows, whatever the socket says: the far side learns by CLOSE alone that
/// the end was not clean.
struct StreamEnds: Hashable, BitwiseCopyable {
    /// What was read from the socket.
    enum Source: UInt8, CaseIterable { case sending, finished, failed }
    /// What the peer has said on the channel. CLOSE without EOF counts as an end, as with OpenSSH's client: AsyncSSH and
    /// many servers in Go never say EOF where both directions end at once, and what they sent before is whole.
    enum Peer: UInt8, CaseIterable { case sending, ended, closed }
    /// What may be written to the socket.
    enum Sink: UInt8, CaseIterable { case open, shut, failed }

    /// What is to be done.
    enum Step: Hashable {
        case goOn
        /// Everything that came is written: the socket learns that no more follows.
        case shutSink
        /// The flow is over. `whole`: everything that the far side sent was handed to the socket.
        case end(whole: Bool)
    }

    private(set) var source = Source.sending
    private(set) var peer = Peer.sending
    private(set) var sink = Sink.open

    /// The socket's stream has ended. Returns whether EOF is to be sent: not where the end is not clean.
    mutating func sourceFinished() -> Bool {
        guard source == .sending else { return false }
        source = .finished
        return sink != .failed && peer != .closed
    }

    /// The socket was reset, and what it held is read.
    mutating func sourceFailed() { source = .failed }

    mutating func peerEnded() { if peer == .sending { peer = .ended } }
    mutating func peerClosed() { peer = .closed }
    mutating func sinkWasShut() { if sink == .open { sink = .shut } }
    mutating func sinkFailed() { sink = .failed }

    /// The socket may be read, and what it says can be sent.
    var reads: Bool { source == .sending && peer != .closed }

    /// The far side has sent all that it had to send.
    var peerIsWhole: Bool { peer != .sending && sink != .failed && source != .failed }

    /// `owesNothing`: everything that came on the channel is written to the socket.
    func step(owesNothing: Bool) -> Step {
        switch (source, peer, sink) {
        case (.failed, _, _): .end(whole: false)
        case (.finished, _, .failed), (.sending, .closed, .failed): .end(whole: false)
        case (.sending, .sending, .failed), (.sending, .ended, .failed): .goOn
        case (.sending, .sending, _), (.finished, .sending, _): .goOn
        case (_, .ended, .open), (_, .closed, .open): owesNothing ? .shutSink : .goOn
        case (.sending, .ended, .shut): .goOn
        case (.finished, .ended, .shut), (_, .closed, .shut): .end(whole: true)
        }
    }
}

/// What becomes of a flow that is over.
enum FlowEnd: Hashable, BitwiseCopyable {
    /// What the far side sent is delivered or lies ready: it stays until the reader has it.
    case whole
    /// CLOSE without EOF, and a reset here.
    case cut
    /// The channel was never open, or its target could not be had: the client was told as its protocol can.
    case refused
    /// Its channel was never opened: the connection waits for another link.
    case heldAgain
}
