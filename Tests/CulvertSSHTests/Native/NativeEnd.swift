import Crypto

// The relay's tests compile it too, and the benchmarks and perf/icount in one module with the engine.
#if !ONE_MODULE
    @testable import CulvertSSH
#endif

/// A server's login for tests and measurements: it lets everybody in. All after it is the native engine's.
struct WelcomingLogin: ~Copyable, SSHLogin {
    private(set) var transport: Transport
    private var packets: PacketOutput

    init(settings: NativeSettings, signer: HostKeySigner) throws(SSHError) {
        var random = RandomSource()
        var output = PacketOutput.held(&random)
        var made = try Transport(role: .server, settings: settings, signer: signer, random: random)
        try made.start(preferred: [], &output)
        transport = made
        packets = output
    }

    mutating func receive(_ bytes: UnsafeMutableRawBufferPointer) { transport.input.lend(bytes) }
    mutating func takeConsumed() -> Int { transport.input.takeConsumed() }
    var output: UnsafeRawBufferPointer { packets.unsent }
    mutating func outputSent(_ count: Int) { packets.didSend(count) }
    var summary: String { transport.summary }
    var peerVersion: [UInt8] { mutating get { transport.peerVersion } }

    mutating func advance(_ authority: some LoginAuthority) throws(SSHError) -> LoginProgress {
        do throws(SSHError) {
            while let packet = try transport.next() {
                switch try transport.handle(packet, &packets) {
                case .nothing: break
                case .secured:
                    var info = ExtensionInfo()
                    info.signatureAlgorithms = ["ssh-ed25519", "rsa-sha2-512"]
                    info.answersPing = true
                    packets.send(info.bytes)
                case .service:
                    packets.send(ServiceMessage.bytes(MessageNumber.serviceAccept, ServiceMessage.userAuth))
                case .authentication:
                    // SSH_MSG_USERAUTH_SUCCESS (RFC 4252 §5.1).
                    packets.send([52])
                    transport.enterConnection()
                    return .loggedIn
                case .hostKey, .extensions, .connection:
                    preconditionFailure("a server is told nothing of this kind in a login")
                }
            }
            return .needsBytes
        } catch {
            transport.fail(error, &packets)
            throw error
        }
    }

    consuming func engine() -> NativeEngine { NativeEngine(transport, packets) }

    /// Signs as a host key that is made for this run.
    static func signer() -> HostKeySigner {
        let key = Curve25519.Signing.PrivateKey()
        func string(_ bytes: some Collection<UInt8>) -> [UInt8] {
            withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { Array($0) } + bytes
        }
        let name = string("ssh-ed25519".utf8)
        return HostKeySigner(
            blob: name + string(key.publicKey.rawRepresentation),
            algorithms: [HostKeyAlgorithm(scheme: .ed25519, isCertified: false)]
        ) {
            (_, hash) throws(SSHError) in
            guard let signature = try? key.signature(for: hash) else { throw SSHError(.local, "no signature was made") }
            return name + string(signature)
        }
    }
}

/// One end of a link with the native engine, in its login and after it.
struct NativeEnd<Way: SSHLogin & ~Copyable>: ~Copyable {
    fileprivate var login: Way?
    fileprivate var made: NativeEngine?
    private(set) var isLoggedIn = false
    private let finish: (consuming Way) -> NativeEngine

    init(_ login: consuming Way, engine: @escaping (consuming Way) -> NativeEngine) {
        self.login = consume login
        finish = engine
    }

    /// After the login.
    var engine: NativeEngine {
        _read { yield made! }
        _modify { yield &made! }
    }

    consuming func takeEngine() -> NativeEngine { made! }

    /// Bytes come, which end the login or have it go on, and lead to events. Returns how many are used up.
    mutating func receive(
        _ bytes: UnsafeMutableRawBufferPointer, _ authority: some LoginAuthority,
        _ handle: (inout NativeEngine, EngineEvent) -> Void
    ) throws(SSHError) -> Int {
        var used = 0
        if !isLoggedIn {
            login!.receive(bytes)
            let progress = try login!.advance(authority)
            used = login!.takeConsumed()
            guard progress == .loggedIn else { return used }
            made = finish(login.take()!)
            isLoggedIn = true
        }
        made!.receive(UnsafeMutableRawBufferPointer(rebasing: bytes[used...]))
        while let event = try made!.nextEvent() { handle(&made!, event) }
        return used + made!.takeConsumed()
    }

    var output: UnsafeRawBufferPointer {
        mutating get { isLoggedIn ? made!.output : login!.output }
    }

    mutating func outputSent(_ count: Int) {
        if isLoggedIn { made!.outputSent(count) } else { login!.outputSent(count) }
    }

    /// Of the login, until there is an engine.
    var summary: String {
        mutating get {
            if isLoggedIn { return engine.summary }
            return login!.summary
        }
    }

    /// At most `limit` bytes leave.
    mutating func takeOutput(_ limit: Int = .max) -> [UInt8] {
        let taken = Array(output.prefix(limit))
        outputSent(taken.count)
        return taken
    }

    /// Checks what must always hold after the login.
    func invariants() {
        if isLoggedIn { made!.invariants() }
    }
}

typealias ClientEnd = NativeEnd<ClientLogin>
typealias ServerEnd = NativeEnd<WelcomingLogin>

extension NativeEnd where Way == ClientLogin {
    init(settings: NativeSettings) throws(SSHError) {
        self.init(try ClientLogin(settings: settings)) { $0.engine() }
    }
}

extension NativeEnd where Way == WelcomingLogin {
    init(settings: NativeSettings, signer: HostKeySigner = WelcomingLogin.signer()) throws(SSHError) {
        self.init(try WelcomingLogin(settings: settings, signer: signer)) { $0.engine() }
    }

    /// In the login; empty until it has come.
    var peerVersion: [UInt8] { mutating get { login!.peerVersion } }
}

/// Both ends of a link in memory, logged in, with nothing under way between them.
struct NativeEnds: ~Copyable {
    var client: NativeEngine
    var server: NativeEngine

    init(_ settings: NativeSettings, _ authority: some LoginAuthority) throws {
        var near = try ClientEnd(settings: settings)
        var far = try ServerEnd(settings: settings)
        var toNear: [UInt8] = []
        var toFar: [UInt8] = []
        repeat {
            try Self.feed(&near, &toNear, authority)
            toFar += near.takeOutput()
            try Self.feed(&far, &toFar, authority)
            toNear += far.takeOutput()
        } while !toNear.isEmpty || !toFar.isEmpty
        client = near.takeEngine()
        server = far.takeEngine()
    }

    private static func feed<Way: ~Copyable>(
        _ end: inout NativeEnd<Way>, _ inbox: inout [UInt8], _ authority: some LoginAuthority
    ) throws {
        let used = try inbox.withUnsafeMutableBytes { bytes in
            try end.receive(bytes, authority) { _, event in preconditionFailure("a link begins with \(event)") }
        }
        inbox.removeFirst(used)
    }
}
