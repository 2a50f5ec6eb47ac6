internal import CulvertIO
internal import CulvertSSH
internal import Glibc
internal import Scenario

/// A tunnel with one flow over one link: sixteen times a request goes from the client through worker, link and far
/// end, and its answer comes back. Packets are framed and not ciphered: what ciphers cost stands by itself.
private struct TunnelRound<Driver: IODriver & ~Copyable>: ~Copyable, Round {
    private static var exchanges: Int { 16 }
    private var worker: Worker<Driver, NullCipherEngine>
    private var sockets: Sockets
    private let client: Descriptor
    private var far: FarEnd
    private let bytes: UnsafeMutableRawBufferPointer
    private let buffer: UnsafeMutableRawBufferPointer

    init(_ driver: consuming Driver, length: Int) throws {
        var sockets = Sockets()
        var alive = KeepAlive()
        // However long it takes under callgrind, nobody asks whether the other lives.
        alive.serverAliveInterval = .seconds(1_000_000)
        let context = WorkerContext<NullCipherEngine>(
            forwards: [makeForward(sockets)], reverse: [], links: [LinkStatus(worker: WorkerID(0))],
            mailboxes: [try Mailbox()], control: try Mailbox(), budget: MemoryBudget(ceiling: memoryCeiling),
            resolver: try Resolver(), requestResolver: try Resolver(), journal: makeJournal(), limits: makeLimits(),
            alive: alive)
        var worker = Worker(WorkerID(0), driver: driver, context: context)
        let (near, other) = try SocketOption.pair()
        var far = FarEnd(wire: sockets.keep(other))
        let link = LoggedInLink(
            socket: BlockingSocket(adopting: near), engine: NullCipherEngine(role: .client),
            ring: try MirroredRing(capacity: 1 << 20), summary: "")
        context.mailboxes[0].post(.listen(try sockets.listen("here"), forward: DirectID(index: 0)))
        context.mailboxes[0].post(.link(Parcel(link), LinkID(place: 0, serial: 1), reverse: []))
        worker.turn()
        client = try sockets.connect("here")
        for _ in 0..<8 {
            worker.turnOrPass()
            far.step()
        }
        guard far.channel != nil else { giveUp("no channel is opened") }
        self.far = far
        self.worker = worker
        self.sockets = sockets
        bytes = .allocate(byteCount: length, alignment: 64)
        buffer = .allocate(byteCount: 64 * 1024, alignment: 64)
        bytes.initializeMemory(as: UInt8.self, repeating: 0x61)
    }

    deinit {
        bytes.deallocate()
        buffer.deallocate()
    }

    mutating func run() {
        for _ in 0..<Self.exchanges {
            let wanted = far.received + bytes.count
            sendAll(client, UnsafeRawBufferPointer(bytes))
            while far.received < wanted {
                worker.turn()
                far.step()
            }
            far.send(UnsafeRawBufferPointer(bytes))
            var received = 0
            while received < bytes.count {
                worker.turn()
                received += receive(client, buffer)
            }
        }
    }
}

/// The server's end of the link: accepts the channel and takes what comes.
private struct FarEnd: ~Copyable {
    private let wire: Descriptor
    private var engine = NullCipherEngine(role: .server)
    private var ring: MirroredRing
    private(set) var channel: ChannelNumber?
    private(set) var received = 0

    init(wire: Descriptor) {
        self.wire = wire
        do throws(IOError) { ring = try MirroredRing(capacity: 1 << 20) } catch { giveUp("no ring: \(error)") }
    }

    mutating func step() {
        ring.advance(receive(wire, ring.writable))
        engine.receive(ring.readable)
        do throws(SSHError) {
            while let event = try engine.nextEvent() {
                switch event {
                case .openRequested(let number):
                    channel = number
                    engine.accept(number)
                case .payload(let number, let payload):
                    received += payload.count
                    engine.credit(number, count: payload.count)
                case .sendable, .allSendable: break
                case .opened, .openRefused, .ended, .closed, .violated, .forwardAnswered, .forwardRequested,
                    .commandRefused, .probeAnswered, .hostKeysOffered, .hostKeyProofAnswered:
                    giveUp("a link says \(event)")
                }
            }
        } catch { giveUp("a link fails: \(error)") }
        ring.release(engine.takeConsumed())
        flush()
    }

    mutating func send(_ bytes: UnsafeRawBufferPointer) {
        guard let channel else { giveUp("there is no channel") }
        let slots = engine.reserve(channel, maximum: bytes.count)
        guard slots.count == 1, slots.totalLength == bytes.count, let first = slots.first else {
            giveUp("the window is too small for an answer")
        }
        first.copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
        guard (try? engine.commit(channel, count: bytes.count)) != nil else { giveUp("a packet is not made") }
        flush()
    }

    private mutating func flush() {
        let output = engine.output
        guard !output.isEmpty else { return }
        sendAll(wire, output)
        engine.outputSent(output.count)
    }
}

let tunnels: [Scenario] = [100, 32768].flatMap { length in
    [
        Scenario("relay-tunnel-epoll-\(length)") {
            try TunnelRound(try EpollDriver(descriptorLimit: 1024), length: length)
        },
        Scenario("relay-tunnel-uring-\(length)") {
            try TunnelRound(try UringDriver(descriptorLimit: 1024), length: length)
        },
    ]
}
