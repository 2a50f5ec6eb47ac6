import CulvertIO
import CulvertPlan
import Testing

@testable import CulvertRelay

/// What becomes of a tunnel's plan when its files are read again.
@Suite struct PlanRenewalTests {
    private static func plan(_ host: String) -> TunnelPlan {
        var plan = TunnelPlan(
            server: ServerPlan(
                destination: CulvertPlan.Destination(host: host, typedHost: host, port: 22, user: "me"),
                home: "/home/me"))
        plan.links = 2
        return plan
    }

    private let lines = Guarded<[String]>([])
    private var journal: Journal { Journal(level: .info) { line in lines.withLock { $0.append(line.text) } } }

    @Test func whoLogsInWhereIsTakenOverAndTheRestStays() {
        let renewal = PlanRenewal(Self.plan("old"), journal: journal) {
            var plan = Self.plan("new")
            plan.links = 7
            plan.server.login.identityFiles = .listed(["k"])
            plan.server.hostKeys.checking = .yes
            plan.server.connection.serverAliveCountMax = 99
            plan.server.proxyCommand = ProxyCommand(shell: "/bin/sh", text: "nc")
            plan.hops = [Self.plan("hop").server]
            return .plan(plan)
        }
        #expect(renewal.current == Self.plan("old"))
        let renewed = renewal.renewed()
        #expect(renewed.server.destination.host == "new" && renewed.server.login.identityFiles == .listed(["k"]))
        #expect(renewed.server.hostKeys.checking == .yes && renewed.server.proxyCommand?.text == "nc")
        #expect(renewed.hops.map(\.destination.host) == ["hop"])
        #expect(renewed.links == 2 && renewed.server.connection.serverAliveCountMax == 3)
        #expect(renewal.current == renewed)
        #expect(lines.withLock { $0 } == ["the configuration leads to me@new now"])
    }

    @Test func anErrorLeavesWhatWasGoodAndIsToldOnce() {
        let answers = Guarded<[RenewedPlan]>([
            .plan(Self.plan("good")), .failed("line 3"), .failed("line 3"), .failed("line 4"), .plan(Self.plan("good")),
            .failed("line 4"),
        ])
        let renewal = PlanRenewal(Self.plan("good"), journal: journal) { answers.withLock { $0.removeFirst() } }
        for _ in 0..<6 { #expect(renewal.renewed().server.destination.host == "good") }
        let told = lines.withLock { $0 }
        #expect(told.map { $0.suffix(6) } == ["line 3", "line 4", "line 4"], "\(told)")
    }

    /// A condition or a file that hangs holds up a login for its time. A few more are tried, since what hung was perhaps a
    /// moment's; what an older one finds is of no use.
    @Test func aReadingThatHangsIsLeft() {
        let mayEnd = Monitor(false)
        let readings = Guarded(0)
        let renewal = PlanRenewal(Self.plan("good"), journal: journal, patience: .milliseconds(50)) {
            let number = readings.withLock { readings in
                readings += 1
                return readings
            }
            mayEnd.wait { $0 ? .done(()) : .again(by: nil) }
            return .plan(Self.plan("late \(number)"))
        }
        for _ in 0..<50 { #expect(renewal.renewed().server.destination.host == "good") }
        #expect(readings.withLock { $0 } == 5, "four may hang")
        #expect(lines.withLock { $0 }.count == 1)
        mayEnd.withLock { $0 = true }
        let deadline = Tick.current() + .seconds(20)
        while renewal.current.server.destination.host != "late 5", Tick.current() < deadline {}
        #expect(renewal.renewed().server.destination.host == "late 6")
    }
}
