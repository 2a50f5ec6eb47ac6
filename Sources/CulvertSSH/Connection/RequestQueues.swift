/// Our own global requests that the peer has still to answer. Answers carry no number: they come in the order of the
/// requests (RFC 4254 §4).
struct OwnRequests {
    enum Request {
        case forward(ForwardNumber)
        case cancel
        case probe
        case hostKeyProof
    }

    private var requests: [Request] = []
    private var head = 0

    var count: Int { requests.count - head }

    mutating func append(_ request: Request) {
        requests.append(request)
    }

    /// What an answer belongs to, nil when nothing was asked.
    mutating func removeFirst() -> Request? {
        guard head < requests.count else { return nil }
        let request = requests[head]
        head += 1
        if head == requests.count || head == 64 {
            requests.removeFirst(head)
            head = 0
        }
        return request
    }
}

/// A request of the peer to listen, or to stop: what a server is asked (RFC 4254 §7.1).
public struct PeerForwardRequest: Hashable, Sendable {
    public enum Action: Sendable {
        case listen
        case cancel
    }
    public let action: Action
    public let request: ForwardRequest
}

/// The peer's global requests that somebody else has to decide, and those behind them: answers must leave in the order
/// of the requests (RFC 4254 §4), decisions come in any.
struct PeerRequests {
    /// Requests that may stand undecided, with those behind them. A client that asks for more forwards at once than
    /// this has no use for them.
    static let maximumCount = 1024

    private enum Decision {
        case undecided(PeerForwardRequest)
        case accepted(port: UInt16?)
        case refused
    }

    private struct Entry {
        let wantsReply: Bool
        var decision: Decision
    }

    /// The oldest first; their numbers follow on each other, wrapping.
    private var entries: [Entry] = []
    private var firstNumber: UInt32 = 0

    var isEmpty: Bool { entries.isEmpty }
    var count: Int { entries.count }

    /// A request that is to be decided under this number.
    mutating func append(_ request: PeerForwardRequest, wantsReply: Bool) throws(SSHError) -> PeerForwardNumber {
        try append(Entry(wantsReply: wantsReply, decision: .undecided(request)))
        return PeerForwardNumber(firstNumber &+ UInt32(entries.count - 1))
    }

    /// A request that is refused as soon as those before it are answered.
    mutating func appendRefused() throws(SSHError) {
        try append(Entry(wantsReply: true, decision: .refused))
    }

    private mutating func append(_ entry: Entry) throws(SSHError) {
        guard entries.count < Self.maximumCount else { throw .violation("too many requests wait for an answer") }
        entries.append(entry)
    }

    func request(_ number: PeerForwardNumber) -> PeerForwardRequest { undecided(number).request }

    /// It is granted, on this port.
    mutating func accept(_ number: PeerForwardNumber, port: UInt16) {
        let (index, request) = undecided(number)
        // Said only where the peer left it to us (RFC 4254 §7.1).
        let isSaid = request.action == .listen && request.request.isAnyPort
        entries[index].decision = .accepted(port: isSaid ? port : nil)
    }

    mutating func refuse(_ number: PeerForwardNumber) {
        entries[undecided(number).index].decision = .refused
    }

    private func undecided(_ number: PeerForwardNumber) -> (index: Int, request: PeerForwardRequest) {
        let index = Int(number.value &- firstNumber)
        guard index < entries.count, case .undecided(let request) = entries[index].decision else {
            preconditionFailure("a request is decided once, and read before")
        }
        return (index, request)
    }

    /// An answer to send.
    enum Answer: Equatable {
        case success(port: UInt16?)
        case failure
    }

    /// The next answer that may leave: decided, with nothing undecided before it.
    mutating func removeAnswer() -> Answer? {
        while let first = entries.first {
            let answer: Answer
            switch first.decision {
            case .undecided: return nil
            case .accepted(let port): answer = .success(port: port)
            case .refused: answer = .failure
            }
            entries.removeFirst()
            firstNumber &+= 1
            if first.wantsReply { return answer }
        }
        return nil
    }
}

extension ForwardRequest {
    /// The peer chooses the port.
    var isAnyPort: Bool {
        switch self {
        case .tcp(_, let port): port == 0
        case .streamLocal: false
        }
    }
}
