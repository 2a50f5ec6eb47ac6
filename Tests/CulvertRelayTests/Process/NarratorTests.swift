import CulvertIO
import CulvertPlan
import CulvertSSH
import Synchronization
import Testing

@testable import CulvertRelay

/// The words that people and programs look for.
@Suite struct NarratorTests {
    private final class Said: Sendable {
        private let lines = Mutex<[String]>([])
        func add(_ level: Journal.Level, _ text: String) { lines.withLock { $0.append("\(level): \(text)") } }
        func take() -> [String] {
            lines.withLock { lines in
                defer { lines = [] }
                return lines
            }
        }
    }

    private static func narrator(links: Int = 1, _ said: Said) -> Narrator {
        let there = CulvertPlan.Destination(host: "there", typedHost: "there", port: 22, user: "me")
        var plan = TunnelPlan(server: ServerPlan(destination: there, home: "/home/me"))
        plan.links = links
        plan.forwards = [
            LocalForward(listen: .loopback(port: 1), target: .tcp(host: "db", port: 5432), text: "-L 1:db:5432")
        ]
        let target = Target.tcp(host: "web", port: 80)
        plan.reverse = [
            ReverseForward(listen: .tcp(address: "localhost", port: 8080), target: target, text: "-R 8080:web:80"),
            ReverseForward(listen: .tcp(address: "", port: 0), target: target, text: "-R *:0:web:80"),
        ]
        return Narrator(
            plan: plan, forwards: TunnelForwards(plan), workers: 2, kind: .epoll,
            journal: Journal(level: .debug) { said.add($0.level, $0.text) },
            leadsTo: { "me@there" })
    }

    private static let transport = SSHError(.transport, "no route")
    private static let refused =
        "error: remote port forwarding failed for -R 8080:web:80: the server refused to listen on localhost:8080: the"
        + " port is in use there (an older session may still hold it), or forbidden (look at AllowTcpForwarding,"
        + " PermitListen and GatewayPorts in its sshd_config); asking again"

    static let sentences: [(PoolNews, [String])] = [
        (.firstLoginFailed(transport, again: .seconds(1)), ["error: no route; trying again in 1 s"]),
        (.loginGivenUp(transport), ["error: no route"]),
        (.loginGivenUp(SSHError(.authentication, "denied")), ["error: me@there: denied"]),
        (
            .loginFailed(transport, again: .seconds(0.2), isOldNews: false),
            ["error: cannot connect to me@there: no route; trying again in 0.2 s"]
        ),
        (
            .loginFailed(transport, again: .seconds(30), isOldNews: true),
            ["verbose: cannot connect to me@there: no route; trying again in 30.0 s"]
        ), (.connected(summary: "native"), ["info: connected to me@there (native)"]),
        (.back(place: 0, after: .seconds(3), summary: "s"), ["info: link to me@there is back after 3.0 s (s)"]),
        (.back(place: 0, after: nil, summary: "s"), ["info: link to me@there is back (s)"]),
        (.lost(place: 0, reason: "reset"), ["error: lost the link to me@there: reset; reconnecting"]),
        (.lostForGood(reason: "reset"), ["error: lost the link to me@there: reset"]),
        (
            .closesUnused(after: .seconds(60)),
            [
                "info: me@there closes connections that nobody uses after 60.0 s (UnusedConnectionTimeout), and a reverse"
                    + " forward alone does not keep them: each is made again"
            ]
        ),
        (.silent, ["info: me@there is silent: trying a second connection beside the first"]),
        (.answersAgain, ["info: me@there answers again"]),
        (
            .nodelayRefused,
            ["info: me@there runs no command, which --nodelay needs: it may hold small replies back"]
        ), (.loginSilent, ["info: me@there does not answer a login: trying another beside it"]),
        (
            .questionsUnanswered,
            [
                "info: me@there answers no keepalive (keepalive@openssh.com): that a link is dead is known only where its"
                    + " machine acknowledges nothing; ServerAliveInterval set gives a silent link up, as ssh does"
            ]
        ), (.checksLinks(.networkChange), ["verbose: a network change: checking the links"]),
        (.checksLinks(.sleep), ["verbose: the machine has slept: checking the links"]),
        (.listenerFailed(forward: 0, reason: "taken"), ["error: -L 1:db:5432: taken"]),
        (.listenerStillFails(forward: 0, reason: "taken"), ["verbose: -L 1:db:5432: still taken"]),
        (.reverseStands(forward: 0, port: 8080), ["info: the server listens on localhost:8080 for web:80"]),
        (
            .reverseStands(forward: 1, port: 4000),
            [
                "info: Allocated port 4000 for remote forward to web:80",
                "info: port 4000 of the server: other hosts reach it only if GatewayPorts in its sshd_config allows",
            ]
        ), (.reverseFailed(forward: 0, .refused), [refused]),
        (
            .reverseFailed(forward: 0, .notAsked("too many")),
            ["error: remote port forwarding failed for -R 8080:web:80: too many"]
        ), (.reverseStillFails(forward: 0), ["verbose: remote port forwarding still fails for -R 8080:web:80"]),
        (.listensNoMore(forward: 0), ["info: -L 1:db:5432: cancelled"]),
        (.reverseCancelled(forward: 0), ["info: -R 8080:web:80: cancelled"]),
        (.endsForForward, ["error: ending: a forward failed and ExitOnForwardFailure is set"]),
        (.endsWithoutForward, ["error: ending: no forward stands"]),
        (.workerFailed(IOError(5, "reading")), ["error: a worker failed: reading: Input/output error"]),
    ]

    @Test(arguments: sentences) func itIsSaidSo(_ news: PoolNews, _ lines: [String]) {
        let said = Said()
        Self.narrator(said).say(news)
        #expect(said.take() == lines)
    }

    @Test func linksOfAPoolHaveNumbers() throws {
        let said = Said()
        let narrator = Self.narrator(links: 2, said)
        narrator.say(.lost(place: 1, reason: "reset"))
        narrator.say(.back(place: 1, after: nil, summary: "s"))
        narrator.say(.listening(forward: 0, try SocketAddress.resolve(host: "::1", port: 1, numeric: true)[0]))
        #expect(
            said.take() == [
                "error: lost link 1 to me@there: reset; reconnecting", "info: link 1 to me@there is back (s)",
                "info: listening on [::1]:1 for db:5432",
            ])
    }
}
