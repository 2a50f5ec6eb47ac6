internal import CulvertConfig
internal import CulvertPlan
internal import CulvertRelay
internal import CulvertSSH

/// A master's side of one client, as a value: what comes goes in, what is to be done comes out.
///
/// Invariants: one change is under way at a time, and nothing more is read until it is answered. Every request is answered
/// once, in order. After `.close` nothing is done any more.
struct MuxConversation {
    enum Deed: Equatable {
        case send(MuxReply)
        /// Answered by `answered`.
        case change(ForwardChange)
        /// No more clients.
        case stopListening
        /// The tunnel is to end, once what was said is sent.
        case terminate
        /// A client's input and output, which have come, are to go there. Answered by `handedOver`.
        case carry(Target, text: String)
        /// The descriptors that came are not wanted.
        case dropDescriptors
        /// The client did wrong, for a log; it is left.
        case close(String)
    }

    private enum Phase: Equatable {
        case greeting
        case asking
        /// A forward of that client is being added or cancelled.
        case changing(UInt32, MuxForward, adds: Bool)
        /// Its descriptors have not all come: so many bytes.
        case receivingDescriptors(UInt32, count: Int, target: Target?)
        /// Its input and output are to be carried, and the target is asked for.
        case connecting(UInt32)
        /// Its input and output are carried: it says nothing more, and is left when they have ended.
        case carrying(UInt32)
        /// Its session is refused, and with it what it added for that goes.
        case withdrawing(UInt32)
        case closed
    }

    /// `ssh` sends each with a byte of its own: input, output and errors of a session, input and output else.
    private static let sessionDescriptors = 3
    private static let stdioDescriptors = 2

    let process: UInt32
    let options: ForwardingOptions
    private var phase = Phase.greeting
    private var stream = MuxStream()
    /// New forwards of this client's, while it may ask for a session yet.
    private var added: [TunnelForward] = []

    init(process: UInt32, options: ForwardingOptions) {
        self.process = process
        self.options = options
    }

    /// Nothing is read from the client meanwhile.
    var isPaused: Bool {
        switch phase {
        case .changing, .withdrawing, .connecting: true
        case .greeting, .asking, .receivingDescriptors, .carrying, .closed: false
        }
    }

    /// It is not to be hurried: its streams last as long as they like.
    var isCarrying: Bool { if case .carrying = phase { true } else { false } }

    /// What is said first.
    static let greeting = MuxReply.hello(version: MuxVersion.number)

    mutating func receive(_ bytes: [UInt8]) -> [Deed] {
        // It has nothing more to say: what comes is not kept.
        guard !isCarrying, phase != .closed else { return [] }
        stream.append(bytes)
        return proceed()
    }

    /// What became of the change.
    mutating func answered(_ answer: ForwardAnswer) -> [Deed] {
        switch phase {
        case .changing(let id, let forward, let adds):
            phase = .asking
            if adds, case .done = answer, let meaning = forward.meaning(options) { added.append(meaning) }
            return [.send(reply(id, forward, adds: adds, answer))] + proceed()
        case .withdrawing(let id): return withdraw(id) + proceed()
        case .greeting, .asking, .receivingDescriptors, .connecting, .carrying, .closed: return []
        }
    }

    /// Input and output are carried, or why not: as ssh, once the target has answered.
    mutating func handedOver(failure: String?) -> [Deed] {
        guard case .connecting(let id) = phase else { return [] }
        guard let failure else {
            phase = .carrying(id)
            return [.send(.sessionOpened(id, session: id))]
        }
        phase = .asking
        return [.send(.failed(id, failure))] + proceed()
    }

    private func reply(_ id: UInt32, _ forward: MuxForward, adds: Bool, _ answer: ForwardAnswer) -> MuxReply {
        switch answer {
        case .done(let port), .isThere(let port):
            guard adds, forward.leavesChoice, let port else { return .done(id) }
            return .remotePort(id, UInt32(port))
        case .failed(let reason):
            guard adds else { return .failed(id, reason) }
            return .failed(
                id, "\(forward.kind == .remote ? "remote p" : "P")ort forwarding failed for \(forward.text): \(reason)")
        }
    }

    // MARK: Requests

    private mutating func proceed() -> [Deed] {
        var deeds: [Deed] = []
        while !isPaused, !isCarrying, phase != .closed {
            do throws(SSHError) {
                guard let next = try step() else { break }
                deeds += next
            } catch {
                phase = .closed
                deeds.append(.close(error.description))
            }
        }
        return deeds
    }

    /// nil: more must come.
    private mutating func step() throws(SSHError) -> [Deed]? {
        if case .receivingDescriptors(let id, let count, let target) = phase {
            guard stream.drop(count) else { return nil }
            guard let target else { return [.dropDescriptors] + withdraw(id) }
            phase = .connecting(id)
            return [.carry(target, text: PeerText("-W \(target)").description)]
        }
        guard let message = try stream.take() else { return nil }
        return try follow(MuxRequest(message))
    }

    private mutating func follow(_ request: MuxRequest) throws(SSHError) -> [Deed] {
        guard phase == .asking else {
            guard case .hello(let version) = request else {
                throw .malformed("a mux request", "it stands before a greeting")
            }
            guard version == MuxVersion.number else {
                throw .malformed("a mux greeting", "its version is \(version), not \(MuxVersion.number)")
            }
            phase = .asking
            return []
        }
        switch request {
        case .hello: throw .malformed("a mux request", "it is a second greeting")
        case .aliveCheck(let id): return [.send(.alive(id, process: process))]
        case .terminate(let id): return [.send(.done(id)), .terminate]
        case .stopListening(let id): return [.stopListening, .send(.done(id))]
        case .openForward(let id, let forward): return change(id, forward, adds: true)
        case .closeForward(let id, let forward): return change(id, forward, adds: false)
        case .unknownForward(let id): return [.send(.failed(id, "Invalid forwarding request"))]
        case .newSession(let id):
            phase = .receivingDescriptors(id, count: Self.sessionDescriptors, target: nil)
            return []
        case .stdioForward(let id, let end):
            phase = .receivingDescriptors(id, count: Self.stdioDescriptors, target: end.target)
            return []
        case .proxy(let id): return [.send(.failed(id, "culvert is no proxy of others' connections"))]
        case .unknown(let id): return [.send(.failed(id, "unsupported request"))]
        }
    }

    private mutating func change(_ id: UInt32, _ forward: MuxForward, adds: Bool) -> [Deed] {
        guard let meaning = forward.meaning(options) else {
            return [.send(.failed(id, adds ? "Invalid forwarding request" : "port not forwarded"))]
        }
        phase = .changing(id, forward, adds: adds)
        if !adds { added.removeAll { $0.isSame(as: meaning) } }
        return [.change(adds ? .add(meaning) : .cancel(meaning))]
    }

    /// `ssh` asks for its forwards first, then for its session, and where that is refused connects by itself: it wants
    /// the same ports then.
    private mutating func withdraw(_ id: UInt32) -> [Deed] {
        guard let next = added.popLast() else {
            phase = .asking
            return [.send(.failed(id, "culvert carries forwards only"))]
        }
        phase = .withdrawing(id)
        return [.change(.cancel(next))]
    }
}
