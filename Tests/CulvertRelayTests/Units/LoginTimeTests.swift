import CulvertIO
import CulvertPlan
import CulvertSSH
import Glibc
import TestSupport
import Testing

@testable import CulvertRelay

/// How long a server may keep a login waiting.
@Suite struct LoginTimeTests {
    private func freeKnocks() -> LoginKnocks { LoginKnocks(Guarded(KnockBudget()), .unlimited, isFirst: true) }

    /// The port of a server that takes one connection, closed after `talk`.
    private func serveOne(_ talk: @escaping @Sendable (Descriptor) -> Void) throws -> UInt16 {
        let listener = try SocketAddress.resolve(host: "127.0.0.1", port: 0, numeric: true)[0].listen()
        let port = try #require(SocketAddress.local(of: listener)).port
        try Thread.start(name: "server") {
            defer { SocketOption.close(listener) }
            var entry = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, 20_000) == 1 else { return }
            let socket = accept(listener, nil, nil)
            guard socket >= 0 else { return }
            defer { SocketOption.close(socket) }
            talk(socket)
        }
        return port
    }

    /// One connection, to which `greeting` is said at once and then `drip` for ever, a byte every few milliseconds, until
    /// the client goes.
    private func serve(greeting: [UInt8], drip: [UInt8]) throws -> UInt16 {
        try serveOne { socket in
            guard send(socket, greeting, greeting.count, Int32(MSG_NOSIGNAL)) == greeting.count else { return }
            var next = 0
            while send(socket, [drip[next % drip.count]], 1, Int32(MSG_NOSIGNAL)) == 1 {
                next += 1
                // The pause is what is tested: a server that is slow by intent.
                _ = poll(nil, 0, 3)
            }
        }
    }

    /// A byte now and then is no answer: the whole login has its time, whatever each step has.
    @Test(arguments: [
        // Lines before the version, a packet before SSH_MSG_KEXINIT that never ends, and many that do.
        ("", "no version "), ("SSH-2.0-slow\r\n", "\0\0\u{40}\u{4}\u{4}\u{2}slow "),
        ("SSH-2.0-slow\r\n", "\0\0\0\u{c}\u{a}\u{2}0123456789"),
    ])
    func aServerThatDripsIsLeft(_ greeting: String, _ drip: String) throws {
        let port = try serve(greeting: Array(greeting.utf8), drip: Array(drip.utf8))
        var plan = LoginPlan(host: "127.0.0.1", port: port, family: .any, connect: .seconds(20), tcpKeepAlive: false)
        plan.waiting = .milliseconds(500)
        let journal = Journal(level: .error) { _ in }
        let began = Tick.current()
        let error = #expect(throws: SSHError.self) {
            _ = try Login.perform(
                plan, over: Login.connect(plan, freeKnocks(), journal), login: ClientLogin(),
                authority: EverybodyIsWelcome()
            ) { $0.engine() }
        }
        #expect(error?.kind == .transport, "\(String(describing: error))")
        #expect(error?.description == "the server did not answer in time during the login")
        #expect(Tick.current() - began < .seconds(15))
    }

    /// What sshd says to whom it does not let in is no wrong port.
    @Test(arguments: [
        ("Not allowed at this time\r\n", ["lets nobody in for now", "penalty", "PerSourcePenalties"]),
        ("Exceeded MaxStartups\r\n", ["lets nobody in for now", "have not logged in yet", "MaxStartups"]),
        ("220 mail\r\n", ["speaks no SSH", "220 mail", "is the port right?"]),
    ])
    func aRefusalBeforeTheVersionIsToldAsThat(_ words: String, _ parts: [String]) throws {
        let port = try serveOne { socket in _ = send(socket, words, words.utf8.count, Int32(MSG_NOSIGNAL)) }
        let plan = LoginPlan(host: "127.0.0.1", port: port, family: .any, connect: .seconds(20), tcpKeepAlive: false)
        let error = #expect(throws: SSHError.self) {
            _ = try Login.perform(
                plan, over: Login.connect(plan, freeKnocks(), Journal(level: .error) { _ in }), login: ClientLogin(),
                authority: EverybodyIsWelcome()
            ) { $0.engine() }
        }
        #expect(error?.kind == .transport)
        for part in parts { #expect(error?.description.contains(part) == true, "\(String(describing: error))") }
    }

    /// An interface is gone out by, and one that is not there is named.
    @Test func anInterfaceIsBoundTo() throws {
        let port = try serveOne { socket in _ = send(socket, "x\r\n", 3, Int32(MSG_NOSIGNAL)) }
        var plan = LoginPlan(host: "localhost", port: port, family: .any, connect: .seconds(5), tcpKeepAlive: false)
        plan.interface = "no-such-interface"
        let error = #expect(throws: SSHError.self) {
            _ = try Login.connect(plan, freeKnocks(), Journal(level: .error) { _ in })
        }
        #expect(error?.description.hasPrefix("BindInterface no-such-interface: no suitable addresses") == true)
        plan.interface = "lo"
        let socket = try Login.connect(plan, freeKnocks(), Journal(level: .error) { _ in })
        #expect(SocketAddress.local(of: socket.descriptor)?.host == "127.0.0.1")
        plan.source = "::1"
        plan.host = "127.0.0.1"
        let family = #expect(throws: SSHError.self) {
            _ = try Login.connect(plan, freeKnocks(), Journal(level: .error) { _ in })
        }
        #expect(family?.description.contains("family of ::1") == true)
    }

    /// Before the server's key is to be judged silence is told, once a silence, and the login goes on.
    @Test func silenceIsToldAndTheLoginGoesOn() throws {
        let port = try serveOne { socket in
            // The pause is what is tested: a server that is slow by intent.
            _ = poll(nil, 0, 300)
            let words = "SSH-2.0-slow\r\n"
            _ = send(socket, words, words.utf8.count, Int32(MSG_NOSIGNAL))
            _ = poll(nil, 0, 300)
            // What the client says is read, or the close would be a reset.
            var room = [UInt8](repeating: 0, count: 4096)
            _ = recv(socket, &room, room.count, 0)
        }
        let plan = LoginPlan(host: "127.0.0.1", port: port, family: .any, connect: .seconds(20), tcpKeepAlive: false)
        let race = LoginRace()
        let silences = Guarded(0)
        let watch = LoginWatch(login: LinkID(place: 0, serial: 1), race: race, patience: .milliseconds(20)) {
            silences.withLock { $0 += 1 }
        }
        let journal = Journal(level: .error) { _ in }
        let error = #expect(throws: SSHError.self) {
            let socket = try Login.connect(plan, freeKnocks(), journal, watch)
            watch.runs(over: socket.descriptor)
            _ = try Login.perform(
                plan, over: socket, login: ClientLogin(), authority: EverybodyIsWelcome(), watch: watch
            ) { $0.engine() }
        }
        #expect(error?.description == "the server closed the connection during the login")
        #expect(silences.withLock { $0 } == 2, "before the version, and after it")
    }

    /// A login whose race is lost knocks no more.
    @Test func oneWhoseRaceIsLostDoesNotConnect() throws {
        let plan = LoginPlan(host: "127.0.0.1", port: 1, family: .any, connect: .seconds(20), tcpKeepAlive: false)
        let race = LoginRace()
        try race.wins(LinkID(place: 0, serial: 2))
        let watch = LoginWatch(login: LinkID(place: 0, serial: 1), race: race) {}
        let error = #expect(throws: SSHError.self) {
            _ = try Login.connect(plan, freeKnocks(), Journal(level: .error) { _ in }, watch)
        }
        #expect(error?.description.contains("canceled") == true, "\(String(describing: error))")
    }

    /// One connection, closed after `words`.
    private func serveOnce(_ words: String) throws -> UInt16 {
        try serveOne { socket in
            // What the client says is read, or the close would be a reset that overtakes the words.
            var room = [UInt8](repeating: 0, count: 4096)
            _ = recv(socket, &room, room.count, 0)
            _ = send(socket, words, words.utf8.count, Int32(MSG_NOSIGNAL))
        }
    }

    @Test(arguments: [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "speaks no SSH: it said \"HTTP/1.1 400 Bad Request\": is the port right?"),
        ("", "the server closed the connection during the login, without a word (127.0.0.1 port"),
        ("SSH-2.0-other\r\n", "the server closed the connection during the login"),
    ])
    func whoIsNoServerIsTold(_ words: String, _ told: String) throws {
        let there = CulvertPlan.Destination(host: "127.0.0.1", typedHost: "", port: try serveOnce(words), user: "")
        let plan = LoginPlan(ServerPlan(destination: there, home: ""))
        let journal = Journal(level: .error) { _ in }
        let error = #expect(throws: SSHError.self) {
            _ = try Login.perform(
                plan, over: Login.connect(plan, freeKnocks(), journal), login: ClientLogin(),
                authority: EverybodyIsWelcome()
            ) { $0.engine() }
        }
        #expect(error?.description.contains(told) == true, "\(String(describing: error))")
    }
}
