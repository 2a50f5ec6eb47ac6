internal import CulvertIO

/// What a port of `serve` is for.
enum Endpoint: String, CaseIterable, Sendable {
    /// culvert-load's own workloads: the connection's hello says which.
    case load
    /// The same, but for one workload alone.
    case vnc
    case database
    /// Takes everything, says nothing.
    case sink
    /// Sends until the peer goes.
    case source
    /// Sends back what it gets, and ends when the peer ends.
    case echo

    /// Whether a connection may be for this here.
    func takes(_ role: Hello.Role) -> Bool {
        switch self {
        case .load: true
        case .vnc: role == .vnc
        case .database: role == .database
        case .sink, .source, .echo: false
        }
    }
}

/// A connection to one of `serve`'s ports.
///
/// Invariant: `sent <= target`; the verdict follows once `sent == target`, and nothing follows the verdict.
struct ServedConnection {
    let descriptor: Descriptor
    let endpoint: Endpoint
    let peer: SocketAddress

    /// The first bytes of a load connection, until they are a hello.
    var helloBytes: [UInt8] = []
    var hello: Hello?
    var up: Pattern
    var down: Pattern
    /// The request that is not whole yet, and the next answer; of roles that exchange.
    private var exchange: (requests: Pieces, answers: Pieces)?

    /// Payload bytes.
    var received: UInt64 = 0
    var sent: UInt64 = 0
    /// Payload that should have been sent so far.
    var target: UInt64 = 0

    /// What is sent after the payload: the verdict, or on an echo what the socket did not take.
    var tail: [UInt8] = []
    var tailSent = 0
    /// The verdict stands in `tail`.
    var isConcluded = false
    var isShut = false
    /// The peer has ended its direction.
    var hasEnded = false
    var isAwaitingWritable = false

    init(_ descriptor: Descriptor, _ endpoint: Endpoint, _ peer: SocketAddress) {
        self.descriptor = descriptor
        self.endpoint = endpoint
        self.peer = peer
        up = Pattern(seed: 0, connection: 0, direction: .up)
        down = Pattern(seed: 0, connection: 0, direction: .down)
        if endpoint == .source { target = .max }
    }

    var owesTail: Bool { tailSent < tail.count }

    mutating func begin(_ hello: Hello) {
        self.hello = hello
        up = Pattern(seed: hello.seed, connection: hello.connection, direction: .up)
        down = Pattern(seed: hello.seed, connection: hello.connection, direction: .down)
        if hello.role == .down || hello.role == .both { target = .max }
        guard let sizes = hello.sizes else { return }
        exchange = (
            Pieces(sizes.requests, seed: hello.seed, connection: hello.connection, .up),
            Pieces(sizes.answers, seed: hello.seed, connection: hello.connection, .down)
        )
    }

    /// Answers what has come in whole requests.
    mutating func answerRequests() {
        guard let hello, let sizes = hello.sizes, var pieces = exchange else { return }
        while received >= pieces.requests.end && (hello.role != .single || target == 0) {
            pieces.requests.advance()
            for _ in 0..<sizes.answersEach {
                target = pieces.answers.end
                pieces.answers.advance()
            }
        }
        exchange = pieces
    }

    /// Concludes when all that was owed is sent and nothing more will be owed.
    mutating func concludeIfDone() {
        guard let hello, sent == target, !isConcluded else { return }
        if hasEnded || (hello.role == .single && sent > 0) { conclude(Verdict(.right, offset: received)) }
    }

    mutating func conclude(_ verdict: Verdict) {
        target = sent
        isConcluded = true
        tail = verdict.bytes(down, sent: sent)
        tailSent = 0
    }
}
