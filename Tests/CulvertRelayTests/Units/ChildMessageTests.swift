import CulvertIO
import CulvertPlan
import CulvertSSH
import Testing

@testable import CulvertRelay

/// What goes between a tunnel's processes: the same comes out as went in, and nothing damaged is taken for sound.
@Suite struct ChildMessageTests {
    private static let plan: ChildPlan = {
        var server = ServerPlan(
            destination: CulvertPlan.Destination(host: "10.0.0.1", typedHost: "box", port: 2222, user: "me"),
            home: "/somewhere")
        server.connection.connectTimeout = .seconds(7)
        server.connection.serverAliveInterval = nil
        server.algorithms.ciphers = AlgorithmList("+aes128-cbc")
        server.algorithms.rekeyLimit = RekeyLimit(bytes: 1 << 20, interval: .seconds(60))
        var hop = ServerPlan(
            destination: CulvertPlan.Destination(host: "hop", typedHost: "hop", port: 22, user: "me"),
            home: "/somewhere")
        hop.proxyCommand = ProxyCommand(shell: "/bin/sh", text: "nc secret")
        var plan = TunnelPlan(server: server)
        plan.hops = [hop]
        plan.links = 3
        plan.forwards = [
            LocalForward(listen: .loopback(port: 1), target: .tcp(host: "db", port: 5432), text: "-L 1:db:5432"),
            LocalForward(listen: .standardStreams, target: .unix(path: "/tmp/x"), text: "-W /tmp/x"),
            LocalForward(listen: .everywhere(port: 3), target: .requested, text: "-D 3"),
        ]
        plan.reverse = [
            ReverseForward(
                listen: .tcp(address: "", port: 0), target: .requested, text: "-R 0",
                permitted: [PermittedTarget(host: nil, port: 5)]),
            ReverseForward(listen: .unix(path: "/tmp/y"), target: .tcp(host: "a", port: 1), text: "-R /tmp/y:a:1"),
        ]
        plan.runtime.memory = 64 << 20
        return ChildPlan(
            plan: plan, workers: 2, kind: .epoll, level: .debug, newsLevel: .verbose,
            chosenPorts: [ReverseID(index: 0): 4711])
    }()

    private static let id = LinkID(place: 2, serial: 9)
    private static let arrival = Arrival(moment: Tick(nanoseconds: 5), number: 6)

    private static var orders: [ChildOrder] {
        get throws {
            let peer = try SocketAddress.resolve(host: "::1", port: 99, numeric: true)[0]
            func connection(_ request: LentConnection.LentRequest?) -> ChildOrder {
                .carry(
                    LentConnection(
                        place: 1, forward: DirectID(index: 2), peer: peer, arrival: arrival, request: request))
            }
            return [
                .begin(plan), .login(id, ChildWay(plan.plan)), .deliver(id, reverse: [ReverseID(index: 1)]), .drop(id),
                connection(nil),
                connection(.init(request: SocksRequest(host: "db", port: 5432), isVersion4: true)), .probe, .report,
                .stop(drain: .seconds(5)), .ping,
            ]
        }
    }

    private static var news: [ChildNews] {
        var life = LinkLife()
        life.hasCarried = true
        life.endedUnused = .seconds(3)
        let report = ReportTests.ofWorker
        return [
            .said(Journal.Line(.verbose, "two\nlines", kind: "kind")), .said(Journal.Line(.error, "", kind: nil)),
            .isOpen(place: 0, true), .load(place: 2, flows: 77), .settled(arrival, isOpen: false), .returned(arrival),
            .pathEnded(id), .linkLost(id, reason: "gone", life: life), .linkSuspect(id), .linkRecovered(id),
            .reverseAnswered(id, forward: ReverseID(index: 1), .standing(port: 80)),
            .reverseAnswered(id, forward: ReverseID(index: 1), .refused),
            .reverseAnswered(id, forward: ReverseID(index: 1), .notAsked("why")), .nodelayRefused,
            .streamsEnded(cleanly: true), .reported(WorkerID(1), report),
            .answered(.first), .answered(.worker(WorkerID(1))),
        ]
    }

    private static var questions: [LoginQuestion] {
        let prompts = [
            Challenge.Prompt(text: PeerLines("menu\nPassword: "), echo: false),
            Challenge.Prompt(text: PeerLines("\u{1b}[2J"), echo: true),
        ]
        return [
            .open(hop: nil), .open(hop: 0), .programEnding(within: .seconds(1)), .authority(hop: 1), .attempted,
            .accepted, .knownHostKeyAlgorithms, .verify(hostKey: [1, 2, 3]),
            .bindAgent(hostKey: [1], sessionID: [], signature: [2, 3]),
            .nextCredential(methods: ["publickey", "password"], partialSuccess: true), .sign([9, 8, 7]),
            .refused(reason: nil), .refused(reason: "wrong passphrase"),
            .answer(Challenge(name: PeerText("name"), instruction: PeerLines(""), prompts: prompts)),
            .show(banner: PeerText("hello")), .loggedIn(summary: "libssh2, curve25519"),
            .failed(SSHError(.hostKey, "changed")),
        ]
    }

    private static var answers: [LoginAnswer] {
        func secret(_ text: String) -> Secret {
            var bytes = Array(text.utf8)
            return Secret(wiping: &bytes)
        }
        return [
            .done, .failed(SSHError(.authentication, "no")), .yes, .text("me"), .texts(["a", ""]), .bytes([0, 255]),
            .ending(.exited(3)), .ending(.signalled(9)), .signer(name: "key", publicKey: [1]),
            .password(secret("p")), .keyboardInteractive, .secrets([secret(""), secret("answer")]),
        ]
    }

    private func comesBack<Value: Portable>(_ value: Value) throws {
        let message = value.message
        let again = try Value(message: message)
        #expect(again.message == message, "\(value)")
    }

    @Test("every message comes back as it went out")
    func roundTrips() throws {
        for order in try Self.orders { try comesBack(order) }
        for each in Self.news { try comesBack(each) }
        for question in Self.questions { try comesBack(question) }
        for answer in Self.answers {
            try comesBack(answer)
            #expect(answer.secretMessage() == answer.message)
        }
    }

    @Test("a child is told the names, the times and the algorithms, and nothing that is its parent's")
    func planOfAChild() throws {
        let message = Self.plan.message
        let plan = try ChildPlan(message: message)
        #expect(plan.plan.server.destination == Self.plan.plan.server.destination)
        #expect(plan.plan.server.algorithms == Self.plan.plan.server.algorithms)
        #expect(plan.plan.server.connection.connectTimeout == .seconds(7))
        #expect(plan.plan.reverse == Self.plan.plan.reverse)
        #expect(plan.plan.forwards.map(\.target) == Self.plan.plan.forwards.map(\.target))
        #expect(plan.plan.forwards.map(\.isStandardStreams) == [false, true, false])
        #expect(plan.plan.hops.map { $0.proxyCommand?.text } == [""])
        #expect(plan.chosenPorts == Self.plan.chosenPorts)
        #expect(!message.contains("secret"))
        #expect(!message.contains("/somewhere"))
    }

    /// Every cut, every byte changed, and bytes behind the end: an error, or another whole message; never a trap.
    @Test("damaged messages are refused or read as others")
    func damage() throws {
        func damaged<Value: Portable>(_ value: Value) {
            let message = value.message
            for count in 0..<message.count {
                #expect(throws: SSHError.self) { try Value(message: Array(message.prefix(count))) }
            }
            #expect(throws: SSHError.self) { try Value(message: message + [0]) }
            for place in message.indices {
                for change: UInt8 in [1, 0x80, 0xff] {
                    var other = message
                    other[place] ^= change
                    _ = try? Value(message: other)
                }
            }
        }
        for order in try Self.orders { damaged(order) }
        for each in Self.news { damaged(each) }
        for question in Self.questions { damaged(question) }
        for answer in Self.answers { damaged(answer) }
    }

    @Test("news of what is not there do not fit")
    func numbers() {
        let plan = Self.plan.plan
        for each in Self.news { #expect(each.fits(plan, workers: 2), "\(each)") }
        let far = LinkID(place: 3, serial: 1)
        let unfit: [ChildNews] = [
            .isOpen(place: 3, true), .load(place: 3, flows: 1), .load(place: 0, flows: 1 << 40), .linkSuspect(far),
            .linkLost(far, reason: "", life: LinkLife()), .pathEnded(far),
            .reverseAnswered(Self.id, forward: ReverseID(index: 2), .refused), .reported(WorkerID(2), WorkerReport()),
            .reported(WorkerID(0), WorkerReport(listeners: [ListenerReport(forward: 7, isPaused: true)])),
            .answered(.worker(WorkerID(2))),
        ]
        for each in unfit { #expect(!each.fits(plan, workers: 2), "\(each)") }
    }
}

extension [UInt8] {
    fileprivate func contains(_ text: String) -> Bool {
        let text = Array(text.utf8)
        return indices.contains { self[$0...].starts(with: text) }
    }
}
