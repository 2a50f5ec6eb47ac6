import CulvertIO
import Simulation
import Testing

@testable import CulvertRelay

/// What came whole and waits for its reader, over the simulated network: it stays until the reader has it, nothing of
/// ours resets it before, and what the socket still says is read and dropped.
@Suite struct DeliveriesTests {
    /// The deliveries of a worker that does nothing else.
    private final class Bench {
        let network: SimulatedNetwork
        let budget = MemoryBudget(ceiling: 64 * 1024 * 1024)
        var driver: SimulatedDriver
        var pool: SpillPool
        var timers = TimerQueue()
        var deliveries = Deliveries(capacity: 64)
        private(set) var told: [String: Delivery.Verdict] = [:]

        init(seed: UInt64, faults: Faults = .none, bufferLength: Int = 4096) {
            network = SimulatedNetwork(seed: seed, faults: faults, bufferLength: bufferLength)
            driver = SimulatedDriver(network)
            pool = SpillPool(budget: budget)
        }

        /// A connection whose reader is owed `bytes`. As every socket of a worker's it is reset if it dies early.
        func adopt(
            _ name: String, owing bytes: [UInt8], _ ending: Delivery.Ending = .finish, inputEnded: Bool = false
        ) -> SimulatedPeer {
            let (descriptor, peer) = network.pair()
            driver.resetOnClose(descriptor)
            var rest = Spill()
            if !bytes.isEmpty {
                let fits = bytes.withUnsafeBytes { pool.append($0.baseAddress!, bytes.count, to: &rest) }
                precondition(fits, "there is memory")
            }
            deliveries.adopt(
                Delivery(descriptor, rest: rest, ending, inputEnded: inputEnded, name: name, now: driver.now),
                &driver, &pool, &timers)
            return peer
        }

        /// The one that holds most.
        func greatest() -> DeliveryID? { deliveries.greatest(above: 0, now: driver.now)?.id }

        func turn() throws {
            let longest = driver.now + .milliseconds(100)
            if timers.soonest.map({ $0 > longest }) ?? true { timers.add(longest, Token(.sweep)) }
            try driver.turn(until: timers.soonest)
            while let completion = driver.next() {
                guard let id = deliveries.slab.id(completion.token) else { continue }
                switch Operation(rawValue: completion.token.operation) {
                case .deliveryRead: deliveries.readable(id, &driver, &pool, &timers)
                case .deliveryWrite: deliveries.writable(id, &driver, &pool, &timers)
                default: throw Missed("only deliveries wait here")
                }
            }
            while let due = timers.takeDue(driver.now) {
                if let id = deliveries.slab.id(due) { deliveries.check(id, &driver, &pool, &timers) }
            }
            reap()
        }

        func reap() {
            var news: [(String, Delivery.Verdict)] = []
            deliveries.reap(&driver, &pool) { news.append(($0, $1)) }
            for (name, verdict) in news {
                precondition(told[name] == nil, "each is told of once")
                told[name] = verdict
            }
            deliveries.invariants()
        }

        func run(_ what: String, within patience: Tick.Span = .seconds(20), until isSo: () -> Bool) throws {
            let begun = driver.now
            while driver.now - begun < patience {
                if isSo() { return }
                try turn()
            }
            throw Missed("not in \(formatSeconds(patience)): \(what)")
        }

        func run(for span: Tick.Span) throws {
            let end = driver.now + span
            try run("time passes", within: .seconds(span.seconds + 5)) { driver.now >= end }
        }

        func expectNothingLeft() throws {
            try run("everything is freed") { deliveries.isEmpty }
            guard budget.inUse == 0 else { throw Missed("\(budget.inUse) bytes were not given back") }
            guard network.openDescriptors == 0 else { throw Missed("\(network.openDescriptors) descriptors are left") }
        }
    }

    @Test(arguments: UInt64(1)...20)
    func aReaderGetsAllOfItAndACleanEnd(_ seed: UInt64) throws {
        var dice = Dice(seed: seed)
        let bench = Bench(seed: seed, faults: .all, bufferLength: [512, 4096].randomElement(using: &dice)!)
        var readers: [(peer: SimulatedPeer, bytes: [UInt8])] = []
        for number in 0..<6 {
            let bytes = dice.bytes(Int.random(in: 0...60_000, using: &dice))
            let peer = bench.adopt("\(number)", owing: bytes, inputEnded: false)
            readers.append((peer, bytes))
            switch number % 3 {
            // Says much that nobody wants any more, then its end.
            case 0:
                peer.write(dice.bytes(100_000))
                peer.finish()
            // Pauses.
            case 1:
                peer.isReading = false
                bench.network.schedule(after: .milliseconds(300)) { peer.isReading = true }
            default: break
            }
        }
        try bench.run("all have everything") { readers.allSatisfy { $0.peer.sawEnd } }
        // Whoever goes on talking to nobody may be reset behind its end.
        for reader in readers { #expect(reader.peer.received == reader.bytes) }
        for reader in readers where !reader.peer.isDone { reader.peer.close() }
        try bench.expectNothingLeft()
        #expect(bench.told.values.allSatisfy { $0 == .delivered } && bench.told.count == 6)
    }

    /// However long it takes: nobody is waiting for anything else.
    @Test func aReaderThatPausesForMinutesIsWaitedFor() throws {
        let bench = Bench(seed: 1)
        let bytes = [UInt8](repeating: 7, count: 50_000)
        let peer = bench.adopt("slow", owing: bytes)
        peer.isReading = false
        try bench.run(for: .seconds(300))
        #expect(bench.deliveries.count == 1)
        peer.isReading = true
        try bench.run("it has everything") { peer.sawEnd }
        #expect(peer.received == bytes && !peer.sawReset)
        try bench.expectNothingLeft()
    }

    /// What lies in the kernel is not the reader's yet: closing over input that nobody read would reset it.
    @Test func whatTheKernelHoldsIsWaitedForToo() throws {
        let bench = Bench(seed: 1)
        let peer = bench.adopt("small", owing: [UInt8](repeating: 7, count: 1000))
        peer.isReading = false
        peer.write([UInt8](repeating: 1, count: 200_000))
        try bench.run("what it says is read") { peer.unsent == 0 }
        try bench.run(for: .seconds(100))
        #expect(bench.deliveries.count == 1 && bench.budget.inUse == 0)
        peer.isReading = true
        try bench.run("it has everything") { peer.sawEnd }
        #expect(peer.received.count == 1000 && !peer.sawReset)
        try bench.run("it is let go") { bench.deliveries.isEmpty }
        #expect(bench.told["small"] == .delivered)
    }

    /// With its own end read nothing can be unread: the kernel does the rest, and needs nobody for it.
    @Test func whoHasEndedIsTheKernels() throws {
        let bench = Bench(seed: 1)
        let peer = bench.adopt("ended", owing: [UInt8](repeating: 7, count: 1000), inputEnded: true)
        peer.isReading = false
        bench.reap()
        #expect(bench.deliveries.isEmpty && bench.told["ended"] == .delivered)
        peer.isReading = true
        try bench.run("it reads on") { peer.sawEnd }
        #expect(peer.received.count == 1000 && !peer.sawReset)
    }

    @Test func aReaderThatHasGoneIsLetGo() throws {
        let bench = Bench(seed: 1)
        let peer = bench.adopt("gone", owing: [UInt8](repeating: 7, count: 50_000))
        peer.isReading = false
        try bench.run(for: .milliseconds(10))
        peer.reset()
        try bench.expectNothingLeft()
        #expect(bench.told["gone"] == .cut)
    }

    /// A stream that was cut behind what lies here: the reset may not overtake it.
    @Test(arguments: UInt64(1)...10)
    func aResetComesBehindTheRest(_ seed: UInt64) throws {
        var dice = Dice(seed: seed)
        let bench = Bench(seed: seed, faults: .all)
        bench.network.faults.lostByReset = 1024
        let bytes = dice.bytes(40_000)
        let peer = bench.adopt("cut", owing: bytes, .reset)
        try bench.run("it is reset") { peer.sawReset }
        #expect(peer.received == bytes && !peer.sawEnd)
        try bench.expectNothingLeft()
    }

    /// One that takes nothing is not waited for: a reset is all that would come. Whether it is the kernel that holds what
    /// it does not take, or we.
    @Test(arguments: [1000, 100_000])
    func aResetIsNotKeptForLong(_ owed: Int) throws {
        let bench = Bench(seed: 1)
        let peer = bench.adopt("stuck", owing: [UInt8](repeating: 7, count: owed), .reset)
        peer.isReading = false
        try bench.run(for: .seconds(29))
        #expect(bench.deliveries.count == 1)
        try bench.run("it is given up", within: .seconds(3)) { bench.deliveries.isEmpty }
        #expect(bench.told["stuck"] == .cut)
        peer.isReading = true
        try bench.run("it is told") { peer.sawReset }
        try bench.expectNothingLeft()
    }

    /// One that takes a little now and then has its time again.
    @Test func whoTakesSomethingIsWaitedForBeforeAReset() throws {
        let bench = Bench(seed: 1)
        let peer = bench.adopt("slow", owing: [UInt8](repeating: 7, count: 30_000), .reset)
        peer.isReading = false
        while peer.received.count < 30_000 {
            try bench.run(for: .seconds(20))
            #expect(bench.deliveries.count == 1)
            let before = peer.received.count
            peer.isReading = true
            try bench.run("it takes some") { peer.received.count > before }
            peer.isReading = false
        }
        peer.isReading = true
        try bench.run("then it is reset") { peer.sawReset }
        try bench.expectNothingLeft()
    }

    /// The worker ends: what was handed over whole is the kernel's to deliver, the rest is reset.
    @Test func atTheEndWhatIsNotHandedOverIsReset() throws {
        let bench = Bench(seed: 1)
        let handed = bench.adopt("handed", owing: [UInt8](repeating: 7, count: 1000))
        let owing = bench.adopt("owing", owing: [UInt8](repeating: 7, count: 50_000))
        let cut = bench.adopt("cut", owing: [UInt8](repeating: 7, count: 1000), .reset)
        for peer in [handed, owing, cut] { peer.isReading = false }
        try bench.run(for: .seconds(1))
        bench.deliveries.endAll()
        bench.reap()
        #expect(bench.told == ["handed": .delivered, "owing": .cut, "cut": .cut])
        for peer in [handed, owing, cut] { peer.isReading = true }
        try bench.run("each is told") { handed.sawEnd && owing.sawReset && cut.sawReset }
        #expect(handed.received.count == 1000 && !handed.sawReset)
        #expect(!owing.sawEnd && !cut.sawEnd)
        try bench.expectNothingLeft()
    }

    /// Memory is short: the one that holds most goes, and only that one.
    @Test func theGreatestHolderIsNamed() throws {
        let bench = Bench(seed: 1)
        let peers = [10_000, 90_000, 40_000].enumerated().map {
            bench.adopt("\($0.offset)", owing: [UInt8](repeating: 7, count: $0.element))
        }
        for peer in peers { peer.isReading = false }
        guard let first = bench.greatest() else { throw Missed("one holds most") }
        #expect(bench.deliveries.slab[first].name == "1" && bench.deliveries.slab[first].rest.held >= 80_000)
        bench.deliveries.cut(first, &bench.pool)
        #expect(bench.budget.inUse < 100_000, "what it held is free at once")
        guard let second = bench.greatest() else { throw Missed("another one holds most") }
        #expect(bench.deliveries.slab[second].name == "2", "one that is over is not named again")
        bench.reap()
        #expect(bench.told == ["1": .cut])
        for peer in peers { peer.isReading = true }
        try bench.run("the others have everything") { peers[0].sawEnd && peers[2].sawEnd && peers[1].sawReset }
    }
}
