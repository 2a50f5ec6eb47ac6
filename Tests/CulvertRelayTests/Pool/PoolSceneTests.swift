import CulvertIO
import CulvertPlan
import CulvertSSH
import Simulation
import Testing

@testable import CulvertRelay

/// A pool and a real worker together: what one says, the other understands.
@Suite struct PoolSceneTests {
    private func scene(links: Int = 1, reverse: Int = 0, seed: UInt64 = 1, faults: Faults = .none) throws -> PoolScene {
        var plan = onePlan {
            $0.links = links
            $0.reverse = reverse
        }
        plan.drain = .seconds(1)
        var script = Script(forwards: 1, links: links, seed: seed)
        script.reverse = (0..<reverse).map { number in
            ReverseForward(
                listen: .tcp(address: "localhost", port: 7000 + UInt16(number)),
                target: .tcp(host: "127.0.0.1", port: 9), text: "reverse \(number)")
        }
        return try PoolScene(plan, script, faults: faults)
    }

    @Test(arguments: UInt64(1)...5) func everyLinkComesAndTheTunnelIsReady(_ seed: UInt64) throws {
        let pool = try scene(links: 3, reverse: 4, seed: seed, faults: .all)
        try pool.run("every link stands") { pool.allServe && pool.told.contains(.ready) }
        #expect(pool.delivered.map(\.place) == [0, 1, 2])
        #expect(pool.pool.reverseStates == (0..<4).map { .standing(port: 7000 + UInt16($0)) })
        try pool.expectEnd()
    }

    @Test func aLostLinkIsMadeAgainAndItsConnectionsAreServed() throws {
        let pool = try scene(reverse: 1)
        try pool.run("it stands") { pool.told.contains(.ready) }
        try pool.run(for: .seconds(31))
        try pool.far().cut()
        let client = try pool.scene.client()
        try pool.run("it is back") { pool.delivered.count == 2 && pool.allServe }
        try pool.run("the connection is served") { try pool.far().streams.count == 1 }
        try pool.run("the reverse forward stands again") { pool.pool.reverseStates == [.standing(port: 7000)] }
        #expect(pool.news.contains { if case .lost(place: 0, _) = $0 { true } else { false } })
        client.finish()
        try pool.far().streams[0].finish()
        try pool.run("it ends") { client.sawEnd }
        try pool.expectEnd()
    }

    @Test func aServerThatRefusesForNowIsTriedAgainSoon() throws {
        let pool = try scene()
        try pool.run("it stands") { pool.allServe }
        try pool.run(for: .seconds(31))
        pool.server = .refuses
        try pool.far().cut()
        try pool.run(for: .seconds(6))
        #expect((3...5).contains(pool.begun.count - 1), "\(pool.begun)")
        // A connection that waits hurries it.
        _ = try pool.scene.client()
        pool.server = .up
        try pool.run("seconds later", within: .seconds(2)) { pool.allServe }
        try pool.expectEnd()
    }

    /// The moment of the race: the old link is lost while the new one is in its worker's mailbox.
    @Test(arguments: UInt64(1)...5) func theOldLinksEndDoesNotTouchItsReplacement(_ seed: UInt64) throws {
        let pool = try scene(reverse: 1, seed: seed)
        try pool.run("it stands") { pool.told.contains(.ready) }
        try pool.run(for: .seconds(31))
        let old = try pool.far()
        old.isFrozen = true
        try pool.handle(.networkChanged)
        try pool.run("it is suspected") { pool.news.contains(.silent) }
        try pool.run("the replacement is delivered") {
            // Before the worker's next turn: it reads of the end first, or of the new link first.
            if pool.delivered.count == 2 { old.cut() }
            return pool.delivered.count == 2
        }
        try pool.run(for: .seconds(30))
        #expect(pool.begun.count == 2, "nothing was made again: \(pool.news)")
        #expect(pool.allServe && pool.scene.context.links[0].isOpen && pool.scene.worker.links.count == 1)
        #expect(pool.pool.reverseStates == [.standing(port: 7000)])
        try pool.expectEnd()
    }

    @Test func aLinkThatSpeaksAgainInTimeStays() throws {
        let pool = try scene()
        pool.loginTime = .seconds(8)
        try pool.run("it stands") { pool.allServe }
        try pool.run(for: .seconds(31))
        try pool.far().isFrozen = true
        try pool.handle(.slept)
        #expect(pool.posted == [.probe])
        try pool.run("it is suspected") { pool.news.contains(.silent) }
        try pool.far().isFrozen = false
        try pool.run("it answers, or is replaced", within: .seconds(40)) { pool.allServe }
        try pool.run("the other login is over") {
            if case .underWay = pool.pool.places[0].attempt { false } else { true }
        }
        #expect(pool.news.contains(.answersAgain) == (pool.dropped.count == 1))
        try pool.run(for: .seconds(60))
        #expect(pool.begun.count == 2)
        try pool.expectEnd()
    }

    @Test func aChangeOfTheNetworkTriesWhatWaitsAtOnce() throws {
        let pool = try scene()
        try pool.run("it stands") { pool.allServe }
        try pool.run(for: .seconds(31))
        pool.server = .unreachable
        try pool.far().cut()
        try pool.run("the waits are long", within: .seconds(200)) { pool.begun.count == 9 }
        try pool.run("it waits") { pool.pool.places[0].retryAt != nil }
        pool.server = .up
        try pool.handle(.networkChanged)
        try pool.run("it is back", within: .seconds(2)) { pool.allServe }
        try pool.expectEnd()
    }

    @Test func whatWaitsAtTheOrderToStopEndsToo() throws {
        let pool = try scene(links: 2)
        pool.loginTime = .seconds(30)
        try pool.run("one stands", within: .seconds(40)) { pool.delivered.count == 1 }
        _ = try pool.scene.client()
        try pool.expectEnd()
        #expect(pool.delivered.count == 1)
    }

    /// Anything may happen to links and server; in a kind world everything stands again.
    @Test(arguments: UInt64(1)...20) func whateverHappensItComesBack(_ seed: UInt64) throws {
        var dice = Dice(seed: seed &* 77)
        let pool = try scene(links: Int.random(in: 1...3, using: &dice), reverse: 2, seed: seed, faults: .all)
        try pool.run("it stands") { pool.allServe }
        for _ in 0..<25 {
            let fars = pool.pool.places.compactMap { $0.link.flatMap { pool.fars[$0.id] } }
            switch Int.random(in: 0..<10, using: &dice) {
            case 0, 1: fars.randomElement(using: &dice)?.cut()
            case 2, 3: fars.randomElement(using: &dice)?.isFrozen.toggle()
            case 4: fars.randomElement(using: &dice)?.disconnect()
            case 5: pool.server = .unreachable
            case 6: pool.server = Int.random(in: 0..<4, using: &dice) == 0 ? .refuses : .up
            case 7: try pool.handle(.networkChanged)
            case 8: try pool.handle(.slept)
            default: pool.server = .up
            }
            try pool.run(for: .milliseconds(Int.random(in: 0...4000, using: &dice)))
        }
        pool.server = .up
        for far in pool.fars.values { far.isFrozen = false }
        // Half an hour is the longest wait after a refusal.
        try pool.run("all stand again", within: .seconds(2000)) { pool.allServe }
        try pool.run("and the reverse forwards", within: .seconds(60)) {
            pool.pool.reverseStates == [.standing(port: 7000), .standing(port: 7001)]
        }
        try pool.run("and the worker agrees", within: .seconds(5)) { pool.scene.context.links.allSatisfy(\.isOpen) }
        #expect(pool.allServe)
        try pool.expectEnd()
    }
}
