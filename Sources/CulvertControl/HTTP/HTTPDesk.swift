internal import CulvertIO
internal import CulvertRelay

/// Serves HTTP at a Unix socket, on a thread of its own: a few clients at a time, each a request after the other.
struct HTTPDesk {
    /// Replies now with what is there, unless that was done.
    typealias GiveUp = @Sendable () -> Void
    /// Answers one request, through `reply`, called once, from any thread. What is returned is called
    /// when that takes too long; nil: it has replied.
    typealias Answer = @Sendable (HTTPRequest, _ reply: @escaping @Sendable (HTTPResponse) -> Void) -> GiveUp?

    enum Order: Sendable {
        case reply(client: UInt64, HTTPResponse)
        case end
    }

    private struct Client {
        let stream: ControlStream
        var reader = HTTPReader()
        var output: [UInt8] = []
        /// What is asked for and not answered: a method, and whether the connection goes on.
        var asked: (isHead: Bool, keepsAlive: Bool)?
        var giveUp: GiveUp?
        /// It is closed when it has said and taken nothing until then.
        var deadline: Tick
        /// Nothing is read from it any more, and it is closed when it has been told.
        var isOver = false
    }

    /// At once; others wait in the kernel.
    static let mostClients = 16
    /// For a request, for taking its answer, and between two.
    static let patience = Tick.Span.seconds(5)
    /// For an answer to be made.
    static let answerPatience = Tick.Span.seconds(2)
    /// Where no descriptor is free, clients wait in the kernel for so long.
    private static let pause = Tick.Span.seconds(1)
    private static let piece = 16 << 10

    private let listener: ControlListener
    private let orders: Mailbox<Order>
    private let answer: Answer
    private var clients: [UInt64: Client] = [:]
    private var lastClient: UInt64 = 0
    private var acceptsAgainAt: Tick?
    private var hasEnded = false

    init(_ listener: ControlListener, orders: Mailbox<Order>, answer: @escaping Answer) {
        self.listener = listener
        self.orders = orders
        self.answer = answer
    }

    /// Begins the thread. Returns what ends it.
    static func begin(_ listener: ControlListener, answer: @escaping Answer) throws(IOError) -> @Sendable () -> Void {
        let orders = try Mailbox<Order>()
        try Thread.start(name: "culvert-http") {
            var desk = HTTPDesk(listener, orders: orders, answer: answer)
            desk.run()
        }
        return { orders.post(.end) }
    }

    mutating func run() { while !hasEnded { turn() } }

    private mutating func turn() {
        var (reading, writing) = ([orders.descriptor], [Descriptor]())
        if let due = acceptsAgainAt, due <= Tick.current() { acceptsAgainAt = nil }
        if clients.count < Self.mostClients, acceptsAgainAt == nil { reading.append(listener.descriptor) }
        for client in clients.values {
            if !client.output.isEmpty {
                writing.append(client.stream.descriptor)
            } else if client.asked == nil {
                reading.append(client.stream.descriptor)
            }
        }
        let deadlines = clients.values.map(\.deadline) + [acceptsAgainAt].compactMap(\.self)
        let ready = Wait.forEither(reading: reading, writing: writing, until: deadlines.min())
        if ready.contains(orders.descriptor) { for order in orders.takeAll() { follow(order) } }
        if ready.contains(listener.descriptor) { accept() }
        for id in clients.keys.sorted() where clients[id].map({ ready.contains($0.stream.descriptor) }) ?? false {
            serve(id)
        }
        expire(Tick.current())
    }

    private mutating func follow(_ order: Order) {
        switch order {
        case .reply(let id, let response):
            // It has gone meanwhile.
            guard let asked = clients[id]?.asked else { return }
            clients[id]?.asked = nil
            clients[id]?.giveUp = nil
            say(response, to: id, hasBody: !asked.isHead, keepsAlive: asked.keepsAlive)
        case .end: hasEnded = true
        }
    }

    private mutating func accept() {
        switch listener.accept() {
        case .nothing: break
        case .notNow: acceptsAgainAt = Tick.current() + Self.pause
        case .stream(let stream):
            lastClient += 1
            clients[lastClient] = Client(stream: stream, deadline: Tick.current() + Self.patience)
        }
    }

    private mutating func serve(_ id: UInt64) {
        guard let client = clients[id] else { return }
        guard client.output.isEmpty else { return flush(id) }
        switch client.stream.receive(most: Self.piece) {
        case .nothing: break
        case .ended: clients[id] = nil
        case .bytes(let bytes, let descriptors):
            descriptors.forEach(SocketOption.close)
            clients[id]?.reader.take(bytes)
            proceed(id)
        }
    }

    /// The next request of what has come, if it is whole.
    private mutating func proceed(_ id: UInt64) {
        do throws(HTTPFault) {
            guard let request = try clients[id]?.reader.next() else { return }
            clients[id]?.deadline = Tick.current() + Self.answerPatience
            clients[id]?.asked = (request.method == "HEAD", request.keepsAlive)
            clients[id]?.giveUp = answer(request) { [orders] in orders.post(.reply(client: id, $0)) }
        } catch {
            say(.text(error.status, error.reason), to: id, hasBody: true, keepsAlive: false)
        }
    }

    private mutating func say(_ response: HTTPResponse, to id: UInt64, hasBody: Bool, keepsAlive: Bool) {
        clients[id]?.output = response.bytes(hasBody: hasBody, keepsAlive: keepsAlive)
        clients[id]?.isOver = !keepsAlive
        clients[id]?.deadline = Tick.current() + Self.patience
        flush(id)
    }

    private mutating func flush(_ id: UInt64) {
        guard let client = clients[id] else { return }
        guard let sent = client.stream.send(client.output[...]) else { return clients[id] = nil }
        clients[id]?.output.removeFirst(sent)
        // A reader that takes it, however slowly, has its time.
        if sent > 0 { clients[id]?.deadline = Tick.current() + Self.patience }
        guard clients[id]?.output.isEmpty ?? false else { return }
        if client.isOver { return clients[id] = nil }
        proceed(id)
    }

    private mutating func expire(_ now: Tick) {
        for (id, client) in clients where client.deadline <= now {
            guard let giveUp = client.giveUp else {
                clients[id] = nil
                continue
            }
            // Its answer is in the mailbox when that returns.
            clients[id]?.giveUp = nil
            clients[id]?.deadline = now + Self.patience
            giveUp()
        }
    }
}
