import CulvertIO
import CulvertPlan
import CulvertSSH
import Testing

@testable import CulvertRelay

/// What a tunnel tells of itself.
@Suite struct ReportTests {
    /// With something of everything.
    static let ofWorker: WorkerReport = {
        var report = WorkerReport(greetings: 1, deliveries: 2, held: 3)
        report.links = [
            LinkReport(
                name: "link 0", place: 0, isReplaced: false, isSuspect: true, age: .seconds(5), silence: .seconds(2),
                roundTrip: .milliseconds(3), flows: 2, sent: 10, received: 20, keyRenewals: 4),
            LinkReport(
                name: "jump host j", place: nil, isReplaced: false, isSuspect: false, age: .seconds(6),
                silence: .zero, roundTrip: nil, flows: 1, sent: 1, received: 2, keyRenewals: nil),
        ]
        report.listeners = [ListenerReport(forward: 0, isPaused: true)]
        report.flows = [
            FlowReport(
                forward: .direct(0), peer: "127.0.0.1:5", target: "db:5", age: .seconds(1), sent: 7, received: 8,
                held: 9,
                state: .localReader),
            FlowReport(
                forward: nil, peer: "", target: nil, age: .seconds(1), sent: 1, received: 1, held: 0, state: .open),
        ]
        report.tallies[.direct(0)].opened = 3
        report.tallies[.direct(0)].opening.add(.milliseconds(3))
        report.tallies[.reverse(1)].refused = 1
        return report
    }()

    private static func whole(_ pool: PoolReport) -> TunnelReport {
        let there = CulvertPlan.Destination(host: "there", typedHost: "there", port: 22, user: "me")
        var plan = TunnelPlan(server: ServerPlan(destination: there, home: "/home/me"))
        let target = Target.tcp(host: "db", port: 5432)
        plan.forwards = [
            LocalForward(listen: .loopback(port: 1), target: target, text: "-L 1:db:5432"),
            LocalForward(
                listen: .unix(path: "/s", modeMask: 0o177, unlinksFirst: false), target: target, text: "-L /s:db:5432"),
            LocalForward(listen: .loopback(port: 0), target: .requested, text: "-D 0"),
        ]
        plan.reverse = [
            ReverseForward(listen: .tcp(address: "localhost", port: 8080), target: target, text: "-R 8080:web:80"),
            ReverseForward(listen: .unix(path: "/r"), target: target, text: "-R /r:web:80"),
        ]
        let crew = WorkerCrew(
            count: 2, kind: .epoll, post: { _ in }, listen: { _, _, _ in }, carry: { _, _ in }, flows: { 0 })
        return pool.whole(plan, TunnelForwards(plan), destination: plan.destination, crew)
    }

    private static var pool: PoolReport {
        PoolReport(
            state: .partly, since: .seconds(9), places: [],
            direct: [0: .open(port: nil), 1: .failed("taken"), 2: .open(port: 99)],
            reverse: [.standing(port: 8080), .refused], workers: [ofWorker, ofWorker])
    }

    @Test("workers' counts are put together, and flows are their forwards'")
    func together() {
        let report = Self.whole(Self.pool)
        #expect(report.forwards.map(\.kind) == [.local, .local, .dynamic, .remote, .remote])
        #expect(report.forwards[0].tally.opened == 6)
        #expect(report.forwards[0].tally.opening.count == 2)
        #expect(report.forwards[0].flows.count == 2)
        #expect(report.forwards[4].tally.refused == 2)
        #expect(report.hops.count == 2)
        #expect(report.links.count == 4)
        #expect([report.greetings, report.deliveries, report.held] == [2, 4, 6])
        #expect(
            report.forwards.map(\.state) == [
                .paused, .failed(reason: "taken"), .standing(port: 99), .standing(port: 8080),
                .failed(reason: "the server refuses to listen"),
            ])
    }

    @Test("as lines, for a person")
    func lines() {
        var pool = Self.pool
        pool.workers = [Self.ofWorker]
        var history = LinkHistory()
        history.wasLost("reset by peer", now: Tick(nanoseconds: 0))
        pool.places = [
            PlaceReport(
                state: .connecting, age: nil, summary: "", connects: 1, losses: 1, attempts: 2,
                failure: history.failure?.report(Tick(nanoseconds: 5)), lost: [])
        ]
        #expect(
            ReportText.lines(of: Self.whole(pool)) == [
                "snapshot of me@there (epoll, 2 workers):", "link 0: down: reset by peer",
                "link 0: up 5.0 s, 2 flows, 10 bytes out, 20 in, last heard 2.0 s ago, 4 key renewals, suspect",
                "jump host j: up 6.0 s, 1 flows, 1 bytes out, 2 in, last heard 0.0 s ago",
                "forward -L 1:db:5432: paused (3 served)",
                "flow -L 1:db:5432 to db:5 from 127.0.0.1:5: 7 bytes out, 8 in, 9 held, waits for the local reader (socket full)",
                "forward -L /s:db:5432: not listening, trying again: taken", "forward -D 0: listening",
                "forward -R 8080:web:80: the server listens on port 8080",
                "forward -R /r:web:80: refused, asking again: the server refuses to listen (1 refused)",
                "flow to the next host from : 1 bytes out, 1 in, 0 held, waits for nothing (idle or moving)",
                "1 SOCKS clients have not said where to go", "2 ended connections wait for their readers",
                "3 connections wait for a link",
            ])
    }

    @Test("opening times are told to an eighth, and exactly at each octave")
    func times() {
        var times = OpeningTimes()
        #expect(times.quantile(0.5) == nil)
        let lengths = [1, 124_999, 125_000, 125_001, 1_000_000, 1_000_001, 3_000_000, 900_000_000_000].map {
            Tick.Span(nanoseconds: $0)
        }
        for each in lengths { times.add(each) }
        #expect(OpeningTimes.bound(ofOctave: 3) == .milliseconds(1))
        for octave in 0...OpeningTimes.octaves {
            let bound = OpeningTimes.bound(ofOctave: octave)
            #expect(times.count(upToOctave: octave) == UInt64(lengths.count { $0 <= bound }), "\(octave)")
        }
        #expect(times.quantile(0.5) == .milliseconds(1) || times.quantile(0.5)! < .milliseconds(2))
        var dice = Dice(seed: 1)
        for _ in 0..<10_000 {
            let span = Tick.Span(nanoseconds: Int64.random(in: 125_000...60_000_000_000, using: &dice))
            var one = OpeningTimes()
            one.add(span)
            let told = one.quantile(0.99) ?? .zero
            #expect(told >= span && told.seconds <= span.seconds * 1.126, "\(span)")
        }
        var sum = OpeningTimes()
        sum.add(times)
        sum.add(times)
        #expect(sum.count == 16 && sum.quantile(0.99) == OpeningTimes.bound(ofOctave: OpeningTimes.octaves))
    }

    @Test("a place remembers why its links were lost, the last first")
    func history() {
        var history = LinkHistory()
        history.stands("native")
        for number in 0..<20 { history.wasLost("\(number)", now: Tick(nanoseconds: UInt64(number))) }
        history.failed("refused", now: Tick(nanoseconds: 30))
        #expect(history.lost.map(\.text) == (12..<20).reversed().map(String.init))
        #expect(history.losses == 20 && history.attempts == 1 && history.failure?.text == "refused")
        history.stands("native")
        #expect(history.attempts == 0 && history.connects == 2)
    }
}
