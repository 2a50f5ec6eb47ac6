public import CulvertConfig
internal import CulvertIO
internal import CulvertPlan
public import CulvertRelay
internal import CulvertSSH

/// A tunnel as its own master (`-M -S path`): what OpenSSH's `ssh -O` says to a master's socket is taken here, on a thread
/// of its own (PROTOCOL.mux). It carries no sessions.
public enum MuxMaster {
    /// Begins to listen at `path`. Where something has that name already the tunnel goes on without, as ssh does. Returns
    /// what takes the socket away.
    public static func begin(
        at path: String, _ tunnel: TunnelControl, _ options: ForwardingOptions, journal: Journal
    ) throws(ControlFailure) -> @Sendable () -> Void {
        guard let address = SocketAddress(path: path) else {
            throw ControlFailure("ControlPath too long ('\(path)' >= 108 bytes)")
        }
        do throws(IOError) {
            let listener = try ControlListener(at: address)
            let orders = try Mailbox<MuxDesk.Order>()
            try Thread.start(name: "culvert-control") {
                var desk = MuxDesk(
                    listener: listener, orders: orders, tunnel: tunnel, options: options, journal: journal)
                desk.run()
            }
            journal.verbose("taking commands at \(path)")
            return {
                listener.remove()
                orders.post(.end)
            }
        } catch {
            guard error.isInUse else { throw ControlFailure("ControlPath \(path): \(errorText(error.number))") }
            journal.error("ControlSocket \(path) already exists, disabling multiplexing")
            return {}
        }
    }
}

/// The master's thread: its clients, and what each waits for.
struct MuxDesk {
    enum Order: Sendable {
        case answered(client: UInt64, ForwardAnswer)
        /// A client's target was reached, or was not.
        case reached(client: UInt64, Bool)
        /// A client's streams are over.
        case carried(client: UInt64)
        case end
    }

    private struct Client {
        let stream: ControlStream
        var conversation: MuxConversation
        var output: [UInt8]
        var descriptors: [Descriptor] = []
        /// It said something then, or came.
        var heard = Tick.current()
        var isOver = false
        /// It has gone: what it asked for before is done, and nobody is told.
        var hasGone = false
        /// Its input and output, while their target is asked for.
        var streams: HandedStreams?
        /// Of its input and output.
        var bridge: StreamBridge?
        /// It may stay as it is for as long as it likes.
        var hasTime: Bool { conversation.isPaused || conversation.isCarrying }
    }

    /// At once, of those who say what they want.
    static let mostClients = 24
    /// At once, of those who wait for an answer, or whose input and output are carried: they stay, and must not keep others
    /// from asking.
    static let mostWaiting = 256
    /// One that says nothing for so long, and waits for nothing, is left.
    static let patience = Tick.Span.seconds(30)
    /// And after so long where others wait for its room: what ssh says it says at once.
    static let grace = Tick.Span.milliseconds(500)
    /// Where no descriptor is free, clients wait in the kernel for so long.
    private static let pause = Tick.Span.seconds(1)
    /// Read in one go.
    private static let piece = 16 << 10
    /// That no request has waited for: a client sends those of one.
    private static let mostDescriptors = 6

    /// nil: no more clients.
    private var listener: ControlListener?
    private let orders: Mailbox<Order>
    private let tunnel: TunnelControl
    private let options: ForwardingOptions
    private let journal: Journal
    private var clients: [UInt64: Client] = [:]
    private var lastClient: UInt64 = 0
    private var acceptsAgainAt: Tick?
    private var hasEnded = false

    init(
        listener: ControlListener, orders: Mailbox<Order>, tunnel: TunnelControl, options: ForwardingOptions,
        journal: Journal
    ) {
        self.listener = listener
        self.orders = orders
        self.tunnel = tunnel
        self.options = options
        self.journal = journal
    }

    mutating func run() {
        while !hasEnded, listener != nil || !clients.isEmpty { turn() }
        for id in clients.keys { leave(id) }
    }

    private enum Room {
        case free
        /// That one's, from then on.
        case taken(by: UInt64, until: Tick)
        case none
    }

    private var room: Room {
        let talking = clients.filter { !$0.value.hasTime }
        guard clients.count - talking.count < Self.mostWaiting else { return .none }
        guard talking.count >= Self.mostClients, let silent = talking.min(by: { $0.value.heard < $1.value.heard })
        else { return .free }
        return .taken(by: silent.key, until: silent.value.heard + Self.grace)
    }

    private mutating func turn() {
        var (reading, writing, ending) = ([orders.descriptor], [Descriptor](), [Descriptor]())
        let now = Tick.current()
        if let due = acceptsAgainAt, due <= now { acceptsAgainAt = nil }
        var deadlines = clients.values.filter { !$0.hasTime }.map { $0.heard + Self.patience }
        if let acceptsAgainAt {
            deadlines.append(acceptsAgainAt)
        } else if let listener {
            switch room {
            case .free: reading.append(listener.descriptor)
            case .taken(_, let until) where until <= now: reading.append(listener.descriptor)
            case .taken(_, let until): deadlines.append(until)
            case .none: break
            }
        }
        for client in clients.values {
            if !client.output.isEmpty {
                writing.append(client.stream.descriptor)
            } else if client.conversation.isPaused {
                if !client.hasGone { ending.append(client.stream.descriptor) }
            } else {
                reading.append(client.stream.descriptor)
            }
        }
        let ready = Set(Wait.forEither(reading: reading, writing: writing, ending: ending, until: deadlines.min()))
        if ready.contains(orders.descriptor) { for order in orders.takeAll() { follow(order) } }
        for id in clients.keys.sorted() where clients[id].map({ ready.contains($0.stream.descriptor) }) ?? false {
            if let waits = clients[id], ending.contains(waits.stream.descriptor) { hasGone(id) } else { serve(id) }
        }
        if let listener, ready.contains(listener.descriptor) { accept(listener) }
        dropIdle(Tick.current())
    }

    private mutating func follow(_ order: Order) {
        switch order {
        case .answered(let id, let answer):
            guard let deeds = clients[id]?.conversation.answered(answer) else { return }
            perform(deeds, of: id)
        case .reached(let id, let isReached): begin(id, isReached)
        case .carried(let id): leave(id)
        case .end: hasEnded = true
        }
    }

    // MARK: Clients

    private mutating func accept(_ listener: ControlListener) {
        switch listener.accept() {
        case .nothing: break
        case .notNow: acceptsAgainAt = Tick.current() + Self.pause
        case .stream(let stream):
            if case .taken(let silent, _) = room { leave(silent) }
            lastClient += 1
            clients[lastClient] = Client(
                stream: stream,
                conversation: MuxConversation(process: UInt32(HostProcess.identifier), options: options),
                output: MuxConversation.greeting.packet)
            flush(lastClient)
        }
    }

    private mutating func serve(_ id: UInt64) {
        guard let client = clients[id] else { return }
        guard client.output.isEmpty else { return flush(id) }
        switch client.stream.receive(most: Self.piece) {
        case .nothing: break
        case .ended: leave(id)
        case .bytes(let bytes, let descriptors):
            clients[id]?.descriptors += descriptors
            clients[id]?.heard = Tick.current()
            guard client.descriptors.count + descriptors.count <= Self.mostDescriptors else {
                journal.verbose("a client at the control socket sent too many descriptors")
                return leave(id)
            }
            perform(clients[id]?.conversation.receive(bytes) ?? [], of: id)
        }
    }

    private mutating func perform(_ deeds: [MuxConversation.Deed], of id: UInt64) {
        var ends = false
        for deed in deeds {
            switch deed {
            case .send(let reply): clients[id]?.output += reply.packet
            case .change(let change):
                tunnel.change(change) { [orders] answer in orders.post(.answered(client: id, answer)) }
            case .stopListening: stopListening()
            case .terminate: ends = true
            case .carry(let target, let text):
                if let failure = carry(id, target, text) {
                    perform(clients[id]?.conversation.handedOver(failure: failure) ?? [], of: id)
                }
            case .dropDescriptors:
                clients[id]?.descriptors.forEach(SocketOption.close)
                clients[id]?.descriptors = []
            case .close(let reason):
                journal.verbose("a client at the control socket: \(reason)")
                clients[id]?.isOver = true
            }
        }
        flush(id)
        // It has been told by then, as far as it reads.
        if ends { tunnel.stop() }
    }

    private mutating func stopListening() {
        listener?.remove()
        listener = nil
    }

    /// A client that waits for an answer. Where its streams were to be carried, there is nobody for them.
    private mutating func hasGone(_ id: UInt64) {
        guard clients[id]?.streams == nil else { return leave(id) }
        clients[id]?.hasGone = true
    }

    private mutating func flush(_ id: UInt64) {
        if clients[id]?.hasGone == true { clients[id]?.output = [] }
        guard let client = clients[id] else { return }
        if !client.output.isEmpty {
            if let sent = client.stream.send(client.output[...]) {
                clients[id]?.output.removeFirst(sent)
            } else {
                // What it said before is there yet, and its end behind that.
                clients[id]?.hasGone = true
                clients[id]?.output = []
            }
        }
        if client.isOver { leave(id) }
    }

    private mutating func dropIdle(_ now: Tick) {
        for (id, client) in clients where client.heard + Self.patience <= now && !client.hasTime { leave(id) }
    }

    private mutating func leave(_ id: UInt64) {
        let client = clients.removeValue(forKey: id)
        client?.descriptors.forEach(SocketOption.close)
        client?.bridge?.cut()
    }

    /// Asks for the target, and says what came of it later; or why it cannot.
    private mutating func carry(_ id: UInt64, _ target: Target, _ text: String) -> String? {
        let came = clients[id]?.descriptors ?? []
        clients[id]?.descriptors = []
        guard came.count == 2 else {
            came.forEach(SocketOption.close)
            return "did not receive file descriptors"
        }
        do throws(IOError) {
            let ends = try SocketOption.pair()
            clients[id]?.streams = HandedStreams(input: came[0], output: came[1], socket: ends.0)
            tunnel.carry(BlockingSocket(adopting: ends.1), to: target, text: text) { [orders] isOpen in
                orders.post(.reached(client: id, isOpen))
            }
            return nil
        } catch {
            came.forEach(SocketOption.close)
            journal.error("\(text): \(error)")
            return "\(error)"
        }
    }

    /// The target was reached, or was not.
    private mutating func begin(_ id: UInt64, _ isReached: Bool) {
        guard let streams = clients[id]?.streams.take() else { return }
        if isReached {
            clients[id]?.bridge = streams.bridge { [orders] in orders.post(.carried(client: id)) }
        }
        let failure = isReached ? nil : "Session open refused by peer"
        perform(clients[id]?.conversation.handedOver(failure: failure) ?? [], of: id)
    }
}

/// A client's input and output, and the end of a pair that they are to be carried to. Closed with it, where nothing was made
/// of them.
private final class HandedStreams {
    private let (input, output, socket): (Descriptor, Descriptor, Descriptor)
    private var isUsed = false

    init(input: Descriptor, output: Descriptor, socket: Descriptor) {
        (self.input, self.output, self.socket) = (input, output, socket)
    }

    deinit { if !isUsed { for each in [input, output, socket] { SocketOption.close(each) } } }

    func bridge(ended: @escaping @Sendable () -> Void) -> StreamBridge {
        isUsed = true
        return StreamBridge.begin(input: input, output: output, socket: socket, ended: ended)
    }
}
