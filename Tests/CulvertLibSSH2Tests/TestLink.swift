import CulvertLibSSH2
import CulvertSSH
import Foundation
import TestSupport

extension TestServer {
    /// With a host key and a login of each kind.
    static func withEveryKey(_ configuration: String = "") throws -> TestServer {
        try TestServer(
            configuration, hostKeys: ["host_ed25519", "host_ecdsa256", "host_rsa"],
            logins: ["id_ed25519", "id_ecdsa", "id_ecdsa_pem", "id_rsa", "id_rsa_pkcs8", "id_encrypted"])
    }
}

/// Says yes to any host key and offers the given credentials in order.
final class TestAuthority: LoginAuthority {
    var userName = NSUserName()
    var known: [String] = []
    var hostKey: [UInt8] = []
    var trust = true
    var credentials: [Credential]
    var offeredMethods: [[String]] = []
    var reasons: [String?] = []
    var answers: [String] = []
    var challenges: [Challenge] = []

    init(_ credentials: [Credential]) { self.credentials = credentials }

    func knownHostKeyAlgorithms() -> [String] { known }
    func verify(hostKey key: [UInt8]) throws(SSHError) {
        hostKey = key
        if !trust { throw SSHError(.hostKey, "not this one") }
    }
    func nextCredential(methods: [String], partialSuccess: Bool) throws(SSHError) -> Credential? {
        offeredMethods.append(methods)
        return credentials.isEmpty ? nil : credentials.removeFirst()
    }
    func refused(reason: String?) { reasons.append(reason) }
    func answer(_ challenge: Challenge) throws(SSHError) -> [Secret]? {
        challenges.append(challenge)
        return challenge.prompts.map { _ in secret(answers.removeFirst()) }
    }
    func show(banner: PeerText) {}
}

func secret(_ text: String) -> Secret {
    var bytes = Array(text.utf8)
    return Secret(wiping: &bytes)
}

func keyFile(_ name: String, _ passphrase: String? = nil) throws -> Credential {
    let text = try String(contentsOfFile: TestKeys.path(name), encoding: .utf8)
    return .keyFile(name: name, contents: secret(text), passphrase: passphrase.map(secret))
}

/// Drives one engine over one socket, and blocks: what the relay does, in the simplest form.
final class TestLink {
    private var way: LibSSH2Login?
    private var made: LibSSH2Engine?
    /// After the login.
    var engine: LibSSH2Engine {
        _read { yield made! }
        _modify { yield &made! }
    }
    let socket: Socket
    let authority: TestAuthority
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
    private var held = 0
    private(set) var isOver = false
    /// Changes received bytes before the engine sees them.
    var tamper: ((UnsafeMutableRawBufferPointer) -> Void)?
    /// Changes bytes on their way to the server.
    var tamperOutput: ((inout [UInt8]) -> Void)?
    var received = 0

    /// Payload and events of a channel, until it is taken out.
    struct Seen {
        var opened = false
        var refused: OpenFailure?
        var ended = false
        var closed: Bool?
        var sendable = 0
    }
    var seen: [UInt32: Seen] = [:]
    var requested: [ChannelNumber] = []
    var answers: [UInt32: (accepted: Bool, port: UInt16)] = [:]
    var allSendable = 0
    /// Takes the payload; the result is credited at once.
    var onPayload: (ChannelNumber, UnsafeRawBufferPointer) -> Int = { $1.count }

    init(
        port: UInt16, settings: LibSSH2Settings = LibSSH2Settings(), authority: TestAuthority
    ) throws {
        way = try LibSSH2Login(settings: settings)
        self.authority = authority
        socket = try Socket.connect(port)
        _ = fcntl(socket.descriptor, F_SETFL, O_NONBLOCK)
    }

    /// Logged in with the Ed25519 key.
    convenience init(_ server: TestServer, settings: LibSSH2Settings = LibSSH2Settings()) throws {
        try self.init(port: server.port, settings: settings, authority: TestAuthority([keyFile("id_ed25519")]))
        try login()
    }

    deinit {
        socket.close()
        buffer.deallocate()
    }

    func login() throws {
        let deadline = Date().addingTimeInterval(20)
        while true {
            let progress = try way!.advance(authority)
            let used = way!.takeConsumed()
            guard used == held else { throw Failed("\(used) of \(held) bytes used in the login") }
            held = 0
            flush()
            if case .loggedIn = progress {
                made = way.take()!.engine()
                return
            }
            guard !isOver, Date() < deadline else { throw Failed("the login does not end") }
            receive(1000)
            way!.receive(UnsafeMutableRawBufferPointer(rebasing: buffer[..<held]))
        }
    }

    private var output: UnsafeRawBufferPointer { way != nil ? way!.output : engine.output }

    private func outputSent(_ count: Int) {
        if way != nil { way!.outputSent(count) } else { engine.outputSent(count) }
    }

    private func receive(_ milliseconds: Int32) {
        var entry = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
        if output.count > 0 { entry.events |= Int16(POLLOUT) }
        guard poll(&entry, 1, milliseconds) > 0, entry.revents & ~Int16(POLLOUT) != 0 else { return }
        let count = read(socket.descriptor, buffer.baseAddress! + held, buffer.count - held)
        if count > 0 {
            tamper?(UnsafeMutableRawBufferPointer(rebasing: buffer[held..<(held + count)]))
            held += count
            received += count
        } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
            isOver = true
        }
    }

    func flush() {
        while true {
            let output = output
            guard output.count > 0 else { return }
            if tamperOutput != nil {
                var copy = [UInt8](output)
                tamperOutput?(&copy)
                outputSent(copy.count)
                _ = fcntl(socket.descriptor, F_SETFL, 0)
                socket.write(copy)
                _ = fcntl(socket.descriptor, F_SETFL, O_NONBLOCK)
                continue
            }
            let count = send(socket.descriptor, output.baseAddress, output.count, Int32(MSG_NOSIGNAL))
            guard count > 0 else { return }
            outputSent(count)
        }
    }

    /// One turn: sends, receives, handles events.
    func turn(_ milliseconds: Int32 = 200) throws {
        flush()
        receive(milliseconds)
        engine.receive(UnsafeMutableRawBufferPointer(rebasing: buffer[..<held]))
        while let event = try engine.nextEvent() { handle(event) }
        let used = engine.takeConsumed()
        if used < held { memmove(buffer.baseAddress!, buffer.baseAddress! + used, held - used) }
        held -= used
        flush()
    }

    private func handle(_ event: EngineEvent) {
        switch event {
        case .payload(let channel, let payload):
            let taken = onPayload(channel, UnsafeRawBufferPointer(start: payload.start, count: payload.count))
            if taken > 0 { engine.credit(channel, count: taken) }
        case .opened(let channel): seen[channel.value, default: Seen()].opened = true
        case .openRefused(let channel, let reason): seen[channel.value, default: Seen()].refused = reason
        case .openRequested(let channel): requested.append(channel)
        case .sendable(let channel): seen[channel.value, default: Seen()].sendable += 1
        case .allSendable: allSendable += 1
        case .ended(let channel): seen[channel.value, default: Seen()].ended = true
        case .closed(let channel, let afterEnd): seen[channel.value, default: Seen()].closed = afterEnd
        case .forwardAnswered(let forward, let accepted, let port): answers[forward.value] = (accepted, port)
        case .forwardRequested: preconditionFailure("a client is asked for no forward")
        case .commandRefused: preconditionFailure("this engine runs no command")
        case .hostKeysOffered, .hostKeyProofAnswered: preconditionFailure("libssh2 keeps these to itself")
        case .probeAnswered: preconditionFailure("this engine does not tell answers")
        case .violated: preconditionFailure("this engine judges no window")
        }
    }

    func turns(until what: String, within seconds: Double = 20, _ condition: () throws -> Bool) throws {
        let deadline = Date().addingTimeInterval(seconds)
        while try !condition() {
            guard Date() < deadline else { throw Failed("waited in vain until \(what)") }
            guard !isOver else { throw Failed("the connection ended before \(what)") }
            try turn(50)
        }
    }

    func open(_ port: UInt16, host: String = "127.0.0.1") throws -> ChannelNumber {
        let channel = try engine.open(
            .directTCPIP(host: host, port: port, originator: "127.0.0.1", originatorPort: 1))
        seen[channel.value] = Seen()
        return channel
    }

    func openNow(_ port: UInt16) throws -> ChannelNumber {
        let channel = try open(port)
        try turns(until: "the channel is open") { seen[channel.value]?.opened == true }
        return channel
    }

    /// Fills what may be sent now, at most `maximum` bytes, and returns how many were committed.
    func push(_ channel: ChannelNumber, _ maximum: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) throws -> Int {
        let slots = engine.reserve(channel, maximum: maximum)
        guard slots.count > 0 else { return 0 }
        for index in 0..<slots.count {
            let length = index == slots.count - 1 ? slots.lastLength : slots.slotLength
            fill(UnsafeMutableRawBufferPointer(start: slots.first! + index * slots.stride, count: length))
        }
        try engine.commit(channel, count: slots.totalLength)
        return slots.totalLength
    }

    func push(_ channel: ChannelNumber, _ text: String) throws {
        var bytes = Array(text.utf8)[...]
        try turns(until: "the text is committed") {
            let count = try push(channel, bytes.count) { $0.copyBytes(from: bytes.prefix($0.count)) }
            bytes = bytes.dropFirst(count)
            return bytes.isEmpty
        }
        try turns(until: "it is sent") { engine.output.isEmpty }
    }
}

/// A stream of bytes that anyone can make again from its seed: what arrives is compared with what must arrive.
struct Pattern {
    private var state: UInt64
    private var word: UInt64 = 0
    private var left = 0

    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    mutating func next() -> UInt8 {
        if left == 0 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            word = state
            left = 8
        }
        left -= 1
        defer { word >>= 8 }
        return UInt8(truncatingIfNeeded: word)
    }

    mutating func fill(_ buffer: UnsafeMutableRawBufferPointer) {
        for index in 0..<buffer.count { buffer[index] = next() }
    }

    mutating func matches(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var same = true
        for byte in bytes where byte != next() { same = false }
        return same
    }
}
