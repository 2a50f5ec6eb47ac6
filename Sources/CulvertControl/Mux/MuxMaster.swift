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
        /// A client's streams are over.
        case carried(client: UInt64)
        case end
    }

    private struct Client {
        let stream: ControlStream
        var conversation: MuxConversation
        var output: [UInt8]
        var descriptors: [Descriptor] = []
        /// It is closed when it has said and been told nothing until then.
        var deadline: Tick
        var isOver = false
        /// Of its input and output.
        var bridge: StreamBridge?
        /// It may stay as it is for as long as it likes.
        var hasTime: Bool { conversation.isPaused || conversation.isCarrying }
    }

    /// At once: one who asks waits for one answer.
    static let mostClients = 24
    /// At once, whose input and output are carried: they stay, and must not keep others from asking.
    static let mostCarried = 256
    /// One that says nothing for so long, and waits for nothing, makes room.
    static let patience = Tick.Span.seconds(30)
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

    private var hasRoom: Bool {
        let carried = clients.values.count { $0.conversation.isCarrying }
        return carried < Self.mostCarried && clients.count - carried < Self.mostClients
    }

    private mutating func turn() {
        var (reading, writing) = ([orders.descriptor], [Descriptor]())
        let now = Tick.current()
        if let due = acceptsAgainAt, due <= now { acceptsAgainAt = nil }
        if let listener, hasRoom, acceptsAgainAt == nil { reading.append(listener.descriptor) }
        for client in clients.values {
            if !client.output.isEmpty {
                writing.append(client.stream.descriptor)
            } else if !client.conversation.isPaused {
                reading.append(client.stream.descriptor)
            }
        }
        let deadlines =
            clients.values.filter { !$0.hasTime }.map(\.deadline) + [acceptsAgainAt].compactMap(\.self)
        let ready = Wait.forEither(reading: reading, writing: writing, until: deadlines.min())
        if ready.contains(orders.descriptor) { for order in orders.takeAll() { follow(order) } }
        if let listener, ready.contains(listener.descriptor) { accept(listener) }
        for id in clients.keys.sorted() where clients[id].map({ ready.contains($0.stream.descriptor) }) ?? false {
            serve(id)
        }
        dropIdle(Tick.current())
    }

    private mutating func follow(_ order: Order) {
        switch order {
        case .answered(let id, let answer):
            guard let deeds = clients[id]?.conversation.answered(answer) else { return }
            perform(deeds, of: id)
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
            lastClient += 1
            clients[lastClient] = Client(
                stream: stream,
                conversation: MuxConversation(process: UInt32(HostProcess.identifier), options: options),
                output: MuxConversation.greeting.packet, deadline: Tick.current() + Self.patience)
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
            clients[id]?.deadline = Tick.current() + Self.patience
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
                let isCarried = carry(id, target, text)
                perform(clients[id]?.conversation.handedOver(isCarried) ?? [], of: id)
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

    private mutating func flush(_ id: UInt64) {
        guard let client = clients[id] else { return }
        if !client.output.isEmpty {
            guard let sent = client.stream.send(client.output[...]) else { return leave(id) }
            clients[id]?.output.removeFirst(sent)
        }
        if client.isOver { leave(id) }
    }

    private mutating func dropIdle(_ now: Tick) {
        for (id, client) in clients where client.deadline <= now && !client.hasTime { leave(id) }
    }

    private mutating func leave(_ id: UInt64) {
        let client = clients.removeValue(forKey: id)
        client?.descriptors.forEach(SocketOption.close)
        client?.bridge?.cut()
    }

    /// Whether there was something to carry. The tunnel says by the end of the streams that it could not.
    private mutating func carry(_ id: UInt64, _ target: Target, _ text: String) -> Bool {
        let came = clients[id]?.descriptors ?? []
        clients[id]?.descriptors = []
        guard came.count == 2 else {
            came.forEach(SocketOption.close)
            return false
        }
        do throws(IOError) {
            let ends = try SocketOption.pair()
            clients[id]?.bridge = StreamBridge.begin(input: came[0], output: came[1], socket: ends.0) { [orders] in
                orders.post(.carried(client: id))
            }
            tunnel.carry(BlockingSocket(adopting: ends.1), to: target, text: text)
            return true
        } catch {
            came.forEach(SocketOption.close)
            journal.error("\(text): \(error)")
            return false
        }
    }
}
