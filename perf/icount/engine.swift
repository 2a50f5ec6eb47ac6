// The native engine, logged in to a server's side of its own kind in the same memory, with one channel open.

import CulvertPlan

struct EngineBench: ~Copyable {
    var near: NativeEngine
    var far: FarSide
    var toNear: Inbox
    var toFar: Inbox
    let channel: ChannelNumber
    let length: Int
    var received = 0
    var sent = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Packets at a time: as many as the smallest window has room for, and a variable, so that no clone of what is
    /// counted is made for a constant.
    var round = 4

    static func opened(_ test: Case) throws -> EngineBench {
        var settings = NativeSettings()
        settings.ciphers = AlgorithmList(test.cipher.name)
        settings.macs = test.cipher.mac.flatMap { AlgorithmList($0.rawValue) }
        let ends = try NativeEnds(settings, EverybodyIsWelcome())
        var near = ends.client
        let channel = try near.open(.directTCPIP(host: "far", port: 1, originator: "near", originatorPort: 2))
        var bench = EngineBench(
            near: near, far: FarSide(ends.server), toNear: Inbox(), toFar: Inbox(), channel: channel,
            length: test.payloadLength)
        try bench.settle()
        guard bench.far.channel != nil, bench.near.sendable(channel) > 0 else { fatalError("the channel stays shut") }
        return bench
    }

    /// Carries everything that is under way.
    mutating func settle() throws {
        repeat {
            toFar.append(near.output)
            near.outputSent(near.output.count)
            try far.receive(&toFar)
            far.takeOutput(&toNear)
            near.receive(toNear.bytes)
            while try near.nextEvent() != nil {}
            toNear.removeFirst(near.takeConsumed())
        } while toFar.count > 0 || toNear.count > 0 || !near.output.isEmpty
    }

    /// As the relay does for a flow that gives one packet at a time, and sends what it gave in one go. What was sent is
    /// carried over by `carry`, uncounted: the memory is given back by then, and keeps it until anybody on this thread is
    /// lent it again.
    @inline(__always) mutating func send() {
        for _ in 0..<round {
            guard near.reserve(channel, maximum: length).totalLength == length,
                (try? near.commit(channel, count: length)) != nil
            else { fatalError("the window is too small for a round") }
        }
        sent = near.output
        near.outputSent(sent.count)
    }

    mutating func carry() {
        toFar.append(sent)
        sent = UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// As the relay does with what is in its ring; the socket takes everything.
    @inline(__always) mutating func receive() {
        near.receive(toNear.bytes)
        while let event = (try? near.nextEvent()) ?? nil {
            guard case .payload(let channel, let payload) = event else { fatalError("only payload was sent") }
            received += payload.count
            near.credit(channel, count: payload.count)
        }
        toNear.count -= near.takeConsumed()
    }
}

@_silgen_name("icount_send") @inline(never) func measuredSend(_ bench: inout EngineBench) { bench.send() }
@_silgen_name("icount_receive") @inline(never) func measuredReceive(_ bench: inout EngineBench) { bench.receive() }
/// The same, uncounted. Not optimised, or the compiler makes one function of these and of those.
@inline(never) @_optimize(none) func warmSend(_ bench: inout EngineBench) { bench.send() }
@inline(never) @_optimize(none) func warmReceive(_ bench: inout EngineBench) { bench.receive() }

func runEngine(_ test: Case, count: Int) throws {
    var bench = try EngineBench.opened(test)
    let round = bench.round
    guard count % round == 0 else { fatalError("the packets come in rounds of \(round)") }
    warmSend(&bench)
    bench.carry()
    try bench.settle()
    for _ in 0..<count / round {
        measuredSend(&bench)
        bench.carry()
        try bench.settle()
    }
    mark()
    try bench.far.send(round, test.payloadLength, &bench.toNear)
    warmReceive(&bench)
    try bench.settle()
    for _ in 0..<count / round {
        try bench.far.send(round, test.payloadLength, &bench.toNear)
        measuredReceive(&bench)
        try bench.settle()
    }
    mark()
    let expected = (count + round) * test.payloadLength
    guard bench.far.received == expected, bench.received == expected else {
        fatalError("\(bench.far.received) and \(bench.received) of \(expected) bytes came")
    }
}
