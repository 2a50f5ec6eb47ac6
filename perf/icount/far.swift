import Crypto

// A server's side of a link, in memory. The benchmarks compile it too.

/// Trusts every host key and offers no credential: "none" is what gets in.
final class EverybodyIsWelcome: LoginAuthority {
    var userName: String { "anybody" }
    func knownHostKeyAlgorithms() -> [String] { [] }
    func verify(hostKey key: [UInt8]) throws(SSHError) {}
    func nextCredential(methods: [String], partialSuccess: Bool) throws(SSHError) -> Credential? { nil }
    func refused(reason: String?) {}
    func answer(_ challenge: Challenge) throws(SSHError) -> [Secret]? { nil }
    func show(banner: PeerText) {}
}

/// Bytes on their way to one side, at one address: what the relay's ring is.
struct Inbox: ~Copyable {
    static let capacity = 4 << 20
    let memory = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 4096)
    var count = 0
    deinit { memory.deallocate() }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard count + bytes.count <= Self.capacity else { fatalError("more is on its way than one round has") }
        if let start = bytes.baseAddress { (memory + count).copyMemory(from: start, byteCount: bytes.count) }
        count += bytes.count
    }

    mutating func removeFirst(_ used: Int) {
        memory.copyMemory(from: memory + used, byteCount: count - used)
        count -= used
    }

    var bytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: memory, count: count) }
}

/// The server's side: transport and connection in the other role.
struct FarSide: ~Copyable {
    var transport: Transport
    var connection: ConnectionLayer
    var channel: ChannelNumber?
    var received = 0

    static func started(_ settings: NativeSettings) throws -> FarSide {
        let key = Curve25519.Signing.PrivateKey()
        func string(_ bytes: some Collection<UInt8>) -> [UInt8] {
            withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { Array($0) } + bytes
        }
        let name = string("ssh-ed25519".utf8)
        let signer = HostKeySigner(blob: name + string(key.publicKey.rawRepresentation), schemes: [.ed25519]) {
            (_, hash) throws(SSHError) in
            guard let signature = try? key.signature(for: hash) else { throw SSHError(.local, "no signature") }
            return name + string(signature)
        }
        var transport = try Transport(role: .server, settings: settings, signer: signer)
        var random = RandomSource()
        var output = PacketOutput.held(&random)
        try transport.start(preferred: [], &output)
        return FarSide(
            transport: transport,
            connection: ConnectionLayer(role: .server, settings: settings.connection, output: output))
    }

    mutating func receive(_ inbox: inout Inbox) throws {
        transport.input.lend(inbox.bytes)
        while let packet = try transport.next() {
            switch try transport.handle(packet, &connection.output) {
            case .nothing, .secured: break
            case .service: connection.output.send(ServiceMessage.bytes(MessageNumber.serviceAccept, ServiceMessage.userAuth))
            case .authentication:
                // SSH_MSG_USERAUTH_SUCCESS.
                connection.output.send([52])
                transport.enterConnection()
            case .connection:
                switch try connection.handle(packet) {
                case .openRequested(let number):
                    connection.accept(number)
                    channel = number
                case .payload(let number, let payload):
                    received += payload.count
                    connection.credit(number, count: payload.count)
                default: break
                }
            case .hostKey, .extensions: fatalError("a server is told nothing of this kind")
            }
        }
        inbox.removeFirst(transport.input.takeConsumed())
    }

    mutating func takeOutput(_ inbox: inout Inbox) {
        while !connection.output.unsent.isEmpty {
            inbox.append(connection.output.unsent)
            connection.output.didSend(connection.output.unsent.count)
            connection.sendOwed()
        }
    }

    mutating func send(_ packets: Int, _ length: Int, _ inbox: inout Inbox) {
        guard let channel else { fatalError("there is no channel") }
        for _ in 0..<packets {
            guard connection.reserve(channel, maximum: length).totalLength == length else {
                fatalError("the window is too small for a round")
            }
            connection.commit(channel, count: length)
            takeOutput(&inbox)
        }
    }
}
