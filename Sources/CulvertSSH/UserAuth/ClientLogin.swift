/// A client's login: transport and user authentication, from the version line until the server knows the user. It holds no
/// socket, no clock and no thread.
public struct ClientLogin: ~Copyable, SSHLogin {
    private var transport: Transport
    private var packets: PacketOutput
    /// From the first keys on.
    private var userAuth: UserAuthClient?
    private let acceptedAlgorithms: [String]
    private let bindsToHost: Bool

    /// Throws `.unsupported` when the settings name an algorithm that the engine does not have.
    public init(settings: NativeSettings = NativeSettings()) throws(SSHError) {
        try self.init(settings: settings, random: RandomSource())
    }

    /// `random`: the system's, but for tests.
    init(settings: NativeSettings, random: RandomSource) throws(SSHError) {
        let accepted = try AlgorithmKind.publicKey.offer(settings.publicKeyAlgorithms)
        var random = random
        // Made first: a test's randomness gives each its own, in this order.
        let output = PacketOutput.held(&random)
        transport = try Transport(role: .client, settings: settings, random: random)
        packets = output
        acceptedAlgorithms = accepted
        bindsToHost = settings.bindsToHost
    }

    // MARK: Bytes

    public mutating func receive(_ bytes: UnsafeMutableRawBufferPointer) {
        unsafe transport.input.lend(bytes)
    }

    public mutating func takeConsumed() -> Int { transport.input.takeConsumed() }

    public var output: UnsafeRawBufferPointer { unsafe packets.unsent }

    public mutating func outputSent(_ count: Int) { packets.didSend(count) }

    // MARK: The course

    public mutating func advance(_ authority: some LoginAuthority) throws(SSHError) -> LoginProgress {
        do throws(SSHError) {
            try begin(authority)
            while let packet = try transport.next() {
                if try handle(packet, authority) == .loggedIn { return .loggedIn }
            }
            return .needsBytes
        } catch {
            transport.fail(error, &packets)
            throw error
        }
    }

    private mutating func begin(_ authority: some LoginAuthority) throws(SSHError) {
        guard !transport.isStarted else { return }
        try transport.start(preferred: try authority.knownHostKeyAlgorithms(), &packets)
    }

    private mutating func handle(
        _ packet: OpenedPacket, _ authority: some LoginAuthority
    ) throws(SSHError) -> LoginProgress {
        switch try transport.handle(packet, &packets) {
        case .nothing, .secured, .service: break
        case .connection: preconditionFailure("the table lets no message of the connection pass in a login")
        case .hostKey: try judgeHostKey(authority)
        case .extensions:
            userAuth?.serverSignatureAlgorithms = transport.extensions.signatureAlgorithms
            userAuth?.takesHostBound = transport.extensions.takesHostBound && bindsToHost
        case .authentication:
            let message = unsafe UnsafeRawBufferPointer(start: packet.message, count: packet.count)
            switch try unsafe userAuth?.handle(message, authority) {
            case .none: preconditionFailure("user authentication begins with the first keys")
            case .wait: break
            case .send(let answer): send(answer)
            case .loggedIn:
                userAuth = nil
                transport.enterConnection()
                return .loggedIn
            }
        }
        return .needsBytes
    }

    private mutating func judgeHostKey(_ authority: some LoginAuthority) throws(SSHError) {
        try authority.verify(hostKey: transport.hostKey)
        _ = authority.bindAgent(
            hostKey: transport.hostKey, sessionID: transport.sessionIdentifier,
            signature: transport.hostKeySignature)
        try transport.trustHostKey(&packets)
        // One flight for all of it: the server answers in turn.
        packets.send(ServiceMessage.bytes(MessageNumber.serviceRequest, ServiceMessage.userAuth))
        var client = UserAuthClient(
            sessionID: transport.sessionIdentifier, hostKey: transport.hostKey, acceptedAlgorithms: acceptedAlgorithms)
        send(try client.begin(authority))
        userAuth = client
    }

    private mutating func send(_ message: Secret) {
        unsafe message.withBytes { unsafe packets.send($0) }
    }

    public var summary: String { transport.summary }

    // MARK: The end

    /// The engine of this link, after `.loggedIn` and `takeConsumed`. What waits to be sent is in its output.
    public consuming func engine() -> NativeEngine { NativeEngine(transport, packets) }

    /// Checks what must always hold, for tests.
    func invariants() { packets.invariants() }
}
