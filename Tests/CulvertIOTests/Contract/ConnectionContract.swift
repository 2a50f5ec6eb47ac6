import CulvertIO
import Glibc
import Testing

@Suite struct ConnectionContract {
    @Test(arguments: Kind.allCases) func connectionsAreAcceptedAndMade(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (listener, address) = try bench.world.listen()
        for _ in 0..<20 {
            let (near, far) = try connected(bench, listener, address)
            #expect(bench.driver.connectionError(near) == 0)
            let sent = pattern(100)
            try bench.sendAll(near, sent)
            #expect(try bench.collect(far, 100).bytes == sent)
            bench.driver.close(near)
            bench.driver.close(far)
        }
        bench.driver.close(listener)
    }

    @Test(arguments: Kind.allCases) func aRefusedConnectionIsTold(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let address = try bench.world.refusing()
        for _ in 0..<10 {
            var pending = false
            let result = bench.driver.connect(to: address, pending: &pending)
            if result < 0 {
                #expect(result == -Int(ECONNREFUSED))
                continue
            }
            #expect(pending)
            bench.driver.awaitWritable(Descriptor(result), bench.token(1))
            #expect(try bench.one("the refusal").result == 0)
            #expect(bench.driver.connectionError(Descriptor(result)) == -Int(ECONNREFUSED))
            bench.driver.close(Descriptor(result))
        }
    }

    @Test(arguments: Kind.allCases) func acceptNeverWaits(_ kind: Kind) throws {
        let bench = try Bench(kind)
        let (listener, address) = try bench.world.listen()
        var from = SocketAddress()
        #expect(bench.driver.accept(listener, peer: &from) == -Int(EAGAIN))
        bench.driver.awaitReadable(listener, bench.token(1))
        try bench.expectQuiet("nobody connects")
        var peers: [any Peer] = []
        let count = kind.isSimulated ? 1500 : 3000
        var accepted: [Descriptor] = []
        while peers.count < count {
            for _ in 0..<100 { peers.append(try bench.world.client(to: address)) }
            try bench.turns("everybody is accepted", until: { accepted.count == peers.count }) { _ in
                while true {
                    let result = bench.driver.accept(listener, peer: &from)
                    if result == -Int(EAGAIN) { break }
                    try #require(result >= 0)
                    accepted.append(Descriptor(result))
                }
                bench.driver.awaitReadable(listener, bench.token(1))
            }
        }
        #expect(Set(accepted).count == count, "each number once")
        #expect(kind.isSimulated || from.host == "127.0.0.1")
        for descriptor in accepted { bench.driver.close(descriptor) }
        bench.driver.close(listener)
        for peer in peers { peer.reset() }
    }

    @Test func noDescriptorLeftIsAResultAndTheConnectionWaits() async {
        await #expect(processExitsWith: .success) {
            for kind in Kind.allCases {
                let bench = try Bench(kind)
                let (listener, address) = try bench.world.listen()
                let peer = try bench.world.client(to: address)
                bench.driver.awaitReadable(listener, bench.token(1))
                _ = try bench.one("somebody connects")
                let lift = limitDescriptors(bench)
                var from = SocketAddress()
                precondition(bench.driver.accept(listener, peer: &from) == -Int(EMFILE))
                var pending = false
                precondition(bench.driver.connect(to: address, pending: &pending) == -Int(EMFILE))
                lift()
                let accepted = bench.driver.accept(listener, peer: &from)
                precondition(accepted >= 0, "it waited")
                peer.write([1])
                let bytes = try bench.collect(Descriptor(accepted), 1).bytes
                precondition(bytes == [1])
                bench.driver.close(Descriptor(accepted))
                bench.driver.close(listener)
            }
        }
    }

    @Test func tenThousandConnectionsLeaveNothingBehind() async {
        await #expect(processExitsWith: .success) {
            for kind in Kind.allCases {
                let bench = try Bench(kind)
                let (listener, address) = try bench.world.listen()
                let before = openDescriptorCount()
                for cycle in 0..<(kind.isSimulated ? 2000 : 10_000) {
                    let (near, far) = try connected(bench, listener, address)
                    bench.driver.receive(far, bench.token(1))
                    if cycle % 2 == 0 { bench.driver.awaitReadable(near, bench.token(2)) }
                    // Without it the ports would be spent on TIME_WAIT.
                    bench.driver.resetOnClose(near)
                    bench.driver.close(near)
                    bench.driver.close(far)
                }
                precondition(openDescriptorCount() == before, "\(kind): as many descriptors as before")
                precondition((bench.world as? SimulatedWorld)?.network.openDescriptors ?? 1 == 1)
            }
        }
    }
}

/// A connection made and accepted by the same driver.
private func connected(
    _ bench: Bench, _ listener: Descriptor, _ address: SocketAddress
) throws -> (Descriptor, Descriptor) {
    var pending = false
    let near = bench.driver.connect(to: address, pending: &pending)
    guard near >= 0 else { throw Missed("connect: \(errorText(Int32(-near)))") }
    bench.driver.awaitWritable(Descriptor(near), bench.token(10))
    bench.driver.awaitReadable(listener, bench.token(11))
    var isMade = false
    var far = -1
    try bench.turns("made and accepted", until: { isMade && far >= 0 }) {
        if $0.token.slot == 10 { isMade = true }
        guard $0.token.slot == 11 else { return }
        var from = SocketAddress()
        far = bench.driver.accept(listener, peer: &from)
        if far < 0 { bench.driver.awaitReadable(listener, bench.token(11)) }
    }
    return (Descriptor(near), Descriptor(far))
}

/// From now on no descriptor can be opened, until the result is called.
private func limitDescriptors(_ bench: Bench) -> () -> Void {
    if let simulated = bench.world as? SimulatedWorld {
        let before = simulated.network.descriptorLimit
        simulated.network.descriptorLimit = simulated.network.openDescriptors
        return { simulated.network.descriptorLimit = before }
    }
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    let before = limit
    // What is open stays open.
    limit.rlim_cur = 0
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return {
        var before = before
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before)
    }
}
