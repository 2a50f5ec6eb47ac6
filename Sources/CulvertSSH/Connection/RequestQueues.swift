/// Our own global requests that the peer has still to answer. Answers carry no number: they come in the order of the
/// requests (RFC 4254 §4).
struct OwnRequests {
    enum Request {
        case forward(ForwardNumber)
        case cancel
        case probe
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
/// of the requests (RFC 4254 §4).
struct PeerRequests {
    /// Requests that may stand undecided, with those behind them. A client that asks for more forwards at once than
    /// this has no use for them.
    static let maximumCount = 1024

    enum Decision {
        case waiting(PeerForwardRequest)
        case taken(PeerForwardRequest)
        case accepted(port: UInt16?)
        case refused
    }

    private struct Entry {
        let wantsReply: Bool
        var decision: Decision
    }

    private var entries: [Entry] = []

    var isEmpty: Bool { entries.isEmpty }
    var count: Int { entries.count }

    mutating func append(_ decision: Decision, wantsReply: Bool) throws(SSHError) {
        guard entries.count < Self.maximumCount else { throw .violation("too many requests wait for an answer") }
        entries.append(Entry(wantsReply: wantsReply, decision: decision))
    }

    /// The oldest request that nobody has taken yet.
    mutating func take() -> PeerForwardRequest? {
        for index in entries.indices {
            if case .waiting(let request) = entries[index].decision {
                entries[index].decision = .taken(request)
                return request
            }
        }
        return nil
    }

    /// Decides the oldest taken request.
    mutating func decide(accepted: Bool, port: UInt16) {
        for index in entries.indices {
            if case .taken(let request) = entries[index].decision {
                entries[index].decision = accepted ? .accepted(port: Self.said(port, request)) : .refused
                return
            }
        }
        preconditionFailure("a request is taken before it is answered")
    }

    /// The port is said only where the peer left it to us (RFC 4254 §7.1).
    private static func said(_ port: UInt16, _ request: PeerForwardRequest) -> UInt16? {
        request.action == .listen && request.request.isAnyPort ? port : nil
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
            case .waiting, .taken: return nil
            case .accepted(let port): answer = .success(port: port)
            case .refused: answer = .failure
            }
            entries.removeFirst()
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
