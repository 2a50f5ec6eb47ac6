internal import CulvertIO
internal import Glibc

/// What a thread of `serve` is told.
enum ServerMessage: Sendable {
    case listen(Descriptor, Endpoint)
    /// A connection that another thread accepted.
    case serve(Descriptor, Endpoint, SocketAddress)
}

/// What the threads of `serve` have in common.
struct ServerContext: Sendable {
    let mailboxes: [Mailbox<ServerMessage>]
    /// Takes a line for a person.
    let say: @Sendable (String) -> Void
    let descriptorLimit: Int

    /// The one place where the kind of driver is chosen: below it everything is specialised.
    func run(_ number: Int, _ kind: DriverKind) throws(IOError) {
        switch kind {
        case .uring:
            var thread = ServerThread(number, try UringDriver(descriptorLimit: descriptorLimit), self)
            try thread.run()
        case .epoll:
            var thread = ServerThread(number, try EpollDriver(descriptorLimit: descriptorLimit), self)
            try thread.run()
        }
    }
}

/// One thread of `serve`: its listeners and its connections.
@safe struct ServerThread<Driver: IODriver & ~Copyable>: ~Copyable {
    private enum Operation: UInt8 {
        case mailbox = 1
        case listener
        case read
        case write
        case acceptAgain
    }

    private struct Listener {
        let descriptor: Descriptor
        let endpoint: Endpoint
        var saidWhyNot = false
    }

    private let number: Int
    private let context: ServerContext
    private var driver: Driver
    private var listeners: Slab<Listener>
    private var connections: Slab<ServedConnection>
    private let buffer: UnsafeMutableRawPointer
    private var timers = TimerQueue()
    private var accepted = 0

    init(_ number: Int, _ driver: consuming Driver, _ context: ServerContext) {
        self.number = number
        self.context = context
        self.driver = driver
        listeners = Slab(capacity: Endpoint.allCases.count)
        connections = Slab(capacity: context.descriptorLimit)
        unsafe buffer = MappedMemory.reserve(LoadThreads.chunk, for: "a buffer")
    }

    /// For ever: the process ends when its control thread says so.
    mutating func run() throws(IOError) {
        driver.awaitReadable(context.mailboxes[number].descriptor, Self.token(.mailbox, 0, 1))
        while true { try turnOnce() }
    }

    @inline(never)
    private mutating func turnOnce() throws(IOError) {
        try driver.turn(until: timers.soonest)
        while let completion = driver.next() { handle(completion) }
        while let due = timers.takeDue(driver.now) { accept(due.slot) }
    }

    private static func token(_ operation: Operation, _ slot: Int, _ generation: UInt32) -> Token {
        Token(operation: operation.rawValue, slot: slot, generation: generation)
    }

    @inline(never)
    private mutating func handle(_ completion: Completion) {
        let slot = completion.token.slot
        switch Operation(rawValue: completion.token.operation) {
        case .read:
            if connections.isCurrent(completion.token) { received(slot, completion) }
            if !completion.slot.isNone { driver.release(completion.slot) }
        case .write:
            guard connections.isCurrent(completion.token) else { return }
            connections[slot].isAwaitingWritable = false
            send(slot)
        case .listener: accept(slot)
        case .mailbox:
            driver.awaitReadable(context.mailboxes[number].descriptor, completion.token)
            readMailbox()
        case .acceptAgain, nil: preconditionFailure("every token is made by this thread, and timers do not complete")
        }
    }

    private mutating func readMailbox() {
        for message in context.mailboxes[number].takeAll() {
            switch message {
            case .listen(let descriptor, let endpoint):
                let slot = listeners.insert(Listener(descriptor: descriptor, endpoint: endpoint))
                driver.awaitReadable(descriptor, Self.token(.listener, slot, listeners.generation(slot)))
            case .serve(let descriptor, let endpoint, let peer): serve(descriptor, endpoint, peer)
            }
        }
    }

    /// Takes what waits, and deals the connections to the threads in turn.
    private mutating func accept(_ slot: Int) {
        let listener = listeners[slot]
        let token = Self.token(.listener, slot, listeners.generation(slot))
        while true {
            var peer = SocketAddress()
            let result = driver.accept(listener.descriptor, peer: &peer)
            if result == -Int(EAGAIN) { break }
            if result == -Int(ECONNABORTED) { continue }
            guard result >= 0 else {
                if !listener.saidWhyNot {
                    context.say("cannot accept a connection for now: \(errorText(Int32(-result)))")
                    listeners[slot].saidWhyNot = true
                }
                timers.add(driver.now + .milliseconds(100), Self.token(.acceptAgain, slot, token.generation))
                return
            }
            let target = accepted % context.mailboxes.count
            accepted += 1
            if target == number {
                serve(Descriptor(result), listener.endpoint, peer)
            } else {
                context.mailboxes[target].post(.serve(Descriptor(result), listener.endpoint, peer))
            }
        }
        driver.awaitReadable(listener.descriptor, token)
    }

    private mutating func serve(_ descriptor: Descriptor, _ endpoint: Endpoint, _ peer: SocketAddress) {
        SocketOption.setNoDelay(descriptor)
        let slot = connections.insert(ServedConnection(descriptor, endpoint, peer))
        receive(slot)
        send(slot)
    }

    private mutating func receive(_ slot: Int) {
        driver.receive(connections[slot].descriptor, Self.token(.read, slot, connections.generation(slot)))
    }

    private mutating func close(_ slot: Int, reset: Bool = false) {
        let connection = connections.remove(slot)
        if reset { driver.resetOnClose(connection.descriptor) }
        driver.close(connection.descriptor)
    }

    // MARK: Receiving

    private mutating func received(_ slot: Int, _ completion: Completion) {
        guard completion.result >= 0 else { return close(slot) }
        let generation = connections.generation(slot)
        if completion.result == 0 {
            connections[slot].hasEnded = true
        } else {
            unsafe take(slot, completion.slot.start!, completion.result)
        }
        // Closed meanwhile.
        guard connections.isUsed(slot), connections.generation(slot) == generation else { return }
        let isHeldBack = connections[slot].endpoint == .echo && connections[slot].owesTail
        if !connections[slot].hasEnded && !isHeldBack { receive(slot) }
        send(slot)
    }

    private mutating func take(_ slot: Int, _ start: UnsafeRawPointer, _ count: Int) {
        switch connections[slot].endpoint {
        case .sink, .source: connections[slot].received += UInt64(count)
        case .echo: unsafe echo(slot, start, count)
        case .load, .vnc, .database: unsafe check(slot, start, count)
        }
    }

    private mutating func echo(_ slot: Int, _ start: UnsafeRawPointer, _ count: Int) {
        let result = unsafe driver.send(connections[slot].descriptor, start, count: count)
        guard result >= 0 || result == -Int(EAGAIN) else { return close(slot) }
        let taken = max(0, result)
        guard taken < count else { return }
        connections[slot].tail = unsafe [UInt8](
            UnsafeRawBufferPointer(start: start + taken, count: count - taken))
        connections[slot].tailSent = 0
    }

    private mutating func check(_ slot: Int, _ start: UnsafeRawPointer, _ count: Int) {
        guard !connections[slot].isConcluded else { return }
        var used = 0
        if connections[slot].hello == nil {
            used = unsafe takeHello(slot, start, count)
            guard used < count else { return }
        }
        let offset = connections[slot].received
        let found = unsafe connections[slot].up.firstDifference(start + used, count: count - used, at: offset)
        if let found { return conclude(slot, at: offset + UInt64(found)) }
        connections[slot].received += UInt64(count - used)
        connections[slot].answerRequests()
    }

    /// What it is for. Returns how many bytes belong to that; all of them when more are to come, or it was closed.
    @inline(never)
    private mutating func takeHello(_ slot: Int, _ start: UnsafeRawPointer, _ count: Int) -> Int {
        let used = min(count, Hello.length - connections[slot].helloBytes.count)
        unsafe connections[slot].helloBytes += UnsafeRawBufferPointer(start: start, count: used)
        // A stranger may say less than a hello, and wait.
        let isStranger = !Hello.mayBegin(connections[slot].helloBytes)
        guard isStranger || connections[slot].helloBytes.count == Hello.length else { return count }
        guard let hello = Hello(connections[slot].helloBytes) else {
            context.say(
                "\(connections[slot].peer): its first bytes are not culvert-load's: it is another program"
                    + " (give it the sink, source or echo port), or they were damaged on the way")
            close(slot, reset: true)
            return count
        }
        guard connections[slot].endpoint.takes(hello.role) else {
            context.say(
                "\(connections[slot].peer): another workload than \(connections[slot].endpoint.rawValue), which"
                    + " this port is for (the load port takes every one)")
            close(slot, reset: true)
            return count
        }
        connections[slot].helloBytes = []
        connections[slot].begin(hello)
        return used
    }

    /// The byte at `place` is not the stream's.
    @inline(never)
    private mutating func conclude(_ slot: Int, at place: UInt64) {
        connections[slot].received = place
        let connection = connections[slot].hello?.connection ?? 0
        context.say("connection \(connection) from \(connections[slot].peer): up: mismatch at offset \(place)")
        connections[slot].conclude(Verdict(.differs, offset: place))
    }

    // MARK: Sending

    /// Sends what is owed: payload, then what follows it.
    private mutating func send(_ slot: Int) {
        guard !connections[slot].isAwaitingWritable else { return }
        let descriptor = connections[slot].descriptor
        if connections[slot].hasEnded, let hello = connections[slot].hello, hello.role == .down || hello.role == .both {
            connections[slot].target = connections[slot].sent
        }
        for turn in 0... {
            connections[slot].concludeIfDone()
            let left = connections[slot].target - connections[slot].sent
            let result: Int
            let count: Int
            if left > 0 {
                if turn >= LoadThreads.chunksATurn { return awaitWritable(slot) }
                count = Int(min(left, UInt64(LoadThreads.chunk)))
                unsafe connections[slot].down.fill(buffer, count: count, at: connections[slot].sent)
                result = unsafe driver.send(descriptor, buffer, count: count)
                if result > 0 { connections[slot].sent += UInt64(result) }
            } else if connections[slot].owesTail {
                count = connections[slot].tail.count - connections[slot].tailSent
                let skip = connections[slot].tailSent
                result = unsafe connections[slot].tail.withUnsafeBytes {
                    unsafe driver.send(descriptor, $0.baseAddress! + skip, count: count)
                }
                if result > 0 { connections[slot].tailSent += result }
                if result == count, connections[slot].endpoint == .echo {
                    connections[slot].tail = []
                    connections[slot].tailSent = 0
                    if !connections[slot].hasEnded { receive(slot) }
                }
            } else {
                return finishIfOver(slot)
            }
            if result == -Int(EAGAIN) || (result >= 0 && result < count) { return awaitWritable(slot) }
            guard result >= 0 else { return close(slot) }
        }
    }

    private mutating func awaitWritable(_ slot: Int) {
        connections[slot].isAwaitingWritable = true
        driver.awaitWritable(connections[slot].descriptor, Self.token(.write, slot, connections.generation(slot)))
    }

    /// Nothing more is to be sent for now.
    private mutating func finishIfOver(_ slot: Int) {
        if connections[slot].isConcluded && !connections[slot].isShut {
            connections[slot].isShut = true
            driver.shutdownWriting(connections[slot].descriptor)
        }
        // A load connection that ended before its hello was whole is over, too.
        if connections[slot].hasEnded { close(slot) }
    }
}
