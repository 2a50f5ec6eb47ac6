internal import CulvertIO
internal import Glibc
internal import Scenario

/// `culvert relay` with one connection: sixteen times a request goes through the worker and its answer comes back.
private struct PlainRound<Driver: IODriver & ~Copyable>: ~Copyable, Round {
    private static var exchanges: Int { 16 }
    private var worker: PlainWorker<Driver>
    private var sockets: Sockets
    private let client: Descriptor
    private let target: Descriptor
    private let bytes: UnsafeMutableRawBufferPointer
    private let buffer: UnsafeMutableRawBufferPointer

    init(_ driver: consuming Driver, length: Int) throws {
        var sockets = Sockets()
        let context = PlainContext(
            forwards: [makeForward(sockets)], mailboxes: [try Mailbox()], control: try Mailbox(),
            loads: [LinkStatus(worker: WorkerID(0), isOpen: true)], budget: MemoryBudget(ceiling: memoryCeiling),
            resolver: try Resolver(), journal: makeJournal(), limits: makeLimits())
        var worker = PlainWorker(WorkerID(0), driver: driver, context: context)
        let there = sockets.keep(try sockets.listen("there"))
        context.mailboxes[0].post(.listen(try sockets.listen("here"), forward: DirectID(index: 0)))
        worker.turn()
        let client = try sockets.connect("here")
        for _ in 0..<4 { worker.turnOrPass() }
        target = sockets.keep(accept(there, nil, nil))
        self.client = client
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
            carry(from: client, to: target)
            carry(from: target, to: client)
        }
    }

    private mutating func carry(from: Descriptor, to: Descriptor) {
        sendAll(from, UnsafeRawBufferPointer(bytes))
        var received = 0
        while received < bytes.count {
            worker.turn()
            received += receive(to, buffer)
        }
    }
}

let plainRelays: [Scenario] = [100, 32768].flatMap { length in
    [
        Scenario("relay-plain-epoll-\(length)") {
            try PlainRound(try EpollDriver(descriptorLimit: 1024), length: length)
        },
        Scenario("relay-plain-uring-\(length)") {
            try PlainRound(try UringDriver(descriptorLimit: 1024), length: length)
        },
    ]
}
