import Crypto
import CulvertIO
import TestSupport

@testable import CulvertSSH

/// The server's side of a link, as `FarEnd` drives it.
protocol FarEngine: AnyObject {
    /// Hands over bytes, tells each event and returns how many of the bytes are used up.
    func receive(_ bytes: UnsafeMutableRawBufferPointer, _ handle: (EngineEvent) -> Void) throws(SSHError) -> Int
    var output: UnsafeRawBufferPointer { get }
    func outputSent(_ count: Int)

    func open(_ request: ChannelOpenRequest) throws(SSHError) -> ChannelNumber
    func openRequest(_ channel: ChannelNumber) -> ChannelOpenRequest
    func accept(_ channel: ChannelNumber)
    func refuse(_ channel: ChannelNumber, _ reason: OpenFailure, words: String)
    func reserve(_ channel: ChannelNumber, maximum: Int) -> PayloadSlots
    func commit(_ channel: ChannelNumber, count: Int)
    func credit(_ channel: ChannelNumber, count: Int)
    func finish(_ channel: ChannelNumber)
    func close(_ channel: ChannelNumber)
    func forwardRequest(_ request: PeerForwardNumber) -> PeerForwardRequest
    func acceptForward(_ request: PeerForwardNumber, port: UInt16)
    func refuseForward(_ request: PeerForwardNumber)
    func disconnect()

    /// Bytes that WINDOW_ADJUST messages granted, by our own number of the channel: read from the packets themselves,
    /// so that they are counted by somebody else than the worker's engine.
    var granted: [UInt32: Int] { get }
    /// Key exchanges after the first one.
    var exchanges: Int { get }
}

/// An engine that the relay is tested with: it can be made together with its far end, logged in.
protocol PairedEngine: SSHEngine, ~Copyable {
    static func paired(_ script: Script) throws -> EnginePair<Self>
}

/// Both ends of one link.
struct EnginePair<Engine: ~Copyable>: ~Copyable {
    var near: Engine
    let far: any FarEngine
}

// MARK: Without keys

extension NullCipherEngine: PairedEngine {
    static func paired(_ script: Script) throws -> EnginePair<NullCipherEngine> {
        var near = NullCipherEngine(role: .client, settings: script.settings)
        near.keyExchange = script.keyExchange
        return EnginePair(near: near, far: NullFarEngine(script.settings))
    }
}

final class NullFarEngine: FarEngine {
    private var engine: NullCipherEngine
    private(set) var granted: [UInt32: Int] = [:]
    var exchanges: Int { 0 }

    init(_ settings: ConnectionSettings) { engine = NullCipherEngine(role: .server, settings: settings) }

    func receive(_ bytes: UnsafeMutableRawBufferPointer, _ handle: (EngineEvent) -> Void) throws(SSHError) -> Int {
        engine.receive(bytes)
        while let event = try engine.nextEvent() { handle(event) }
        let consumed = engine.takeConsumed()
        countGrants(UnsafeRawBufferPointer(rebasing: bytes[..<consumed]))
        return consumed
    }

    private func countGrants(_ bytes: UnsafeRawBufferPointer) {
        func number(_ at: Int) -> Int { (0..<4).reduce(0) { $0 << 8 | Int(bytes[at + $1]) } }
        var at = 0
        while at + 5 < bytes.count {
            let length = number(at)
            if bytes[at + 5] == 93 { granted[UInt32(number(at + 6)), default: 0] += number(at + 10) }
            at += 4 + length
        }
    }

    var output: UnsafeRawBufferPointer { engine.output }
    func outputSent(_ count: Int) { engine.outputSent(count) }
    func open(_ request: ChannelOpenRequest) throws(SSHError) -> ChannelNumber { try engine.open(request) }
    func openRequest(_ channel: ChannelNumber) -> ChannelOpenRequest { engine.openRequest(channel) }
    func accept(_ channel: ChannelNumber) { engine.accept(channel) }
    func refuse(_ channel: ChannelNumber, _ reason: OpenFailure, words: String) {
        engine.refuse(channel, reason, words: words)
    }
    func reserve(_ channel: ChannelNumber, maximum: Int) -> PayloadSlots { engine.reserve(channel, maximum: maximum) }
    // The null cipher's commit cannot fail.
    func commit(_ channel: ChannelNumber, count: Int) { try! engine.commit(channel, count: count) }
    func credit(_ channel: ChannelNumber, count: Int) { engine.credit(channel, count: count) }
    func finish(_ channel: ChannelNumber) { engine.finish(channel) }
    func close(_ channel: ChannelNumber) { engine.close(channel) }
    func forwardRequest(_ request: PeerForwardNumber) -> PeerForwardRequest { engine.forwardRequest(request) }
    func acceptForward(_ request: PeerForwardNumber, port: UInt16) { engine.acceptForward(request, port: port) }
    func refuseForward(_ request: PeerForwardNumber) { engine.refuseForward(request) }
    func disconnect() { engine.disconnect() }
}

// MARK: Native

extension NativeEngine: PairedEngine {
    /// The whole login between the two, in memory.
    static func paired(_ script: Script) throws -> EnginePair<NativeEngine> {
        var settings = NativeSettings()
        settings.connection = script.settings
        settings.ciphers = script.cipher
        if let bytes = script.rekeyBytes { settings.rekeyLimits.bytes = bytes }
        var near = try NativeEngine(settings: settings)
        let far = try NativeFarEngine(settings)
        let authority = EverybodyIsWelcome()
        var toNear: [UInt8] = []
        var toFar: [UInt8] = []
        var isLoggedIn = false
        while true {
            let consumed: Int = try toNear.withUnsafeMutableBytes { bytes in
                near.receive(bytes)
                if isLoggedIn {
                    guard try near.nextEvent() == nil else { throw Missed("something happened before the link") }
                } else if case .loggedIn = try near.advanceLogin(authority) {
                    isLoggedIn = true
                }
                return near.takeConsumed()
            }
            toNear.removeFirst(consumed)
            toFar += near.output
            near.outputSent(near.output.count)
            let used = try toFar.withUnsafeMutableBytes { bytes in
                try far.receive(bytes) { _ in }
            }
            toFar.removeFirst(used)
            let answer = Array(far.output)
            far.outputSent(answer.count)
            toNear += answer
            if isLoggedIn && toNear.isEmpty && toFar.isEmpty { return EnginePair(near: near, far: far) }
            guard consumed > 0 || used > 0 || !answer.isEmpty else { throw Missed("the login stands still") }
        }
    }
}

/// The native transport and connection in the server's role, with a login that lets everybody in.
final class NativeFarEngine: FarEngine {
    private var transport: Transport
    private var connection: ConnectionLayer
    private(set) var granted: [UInt32: Int] = [:]
    private(set) var exchanges = 0

    private static let key = Curve25519.Signing.PrivateKey()
    private static func string(_ bytes: some Collection<UInt8>) -> [UInt8] {
        withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { Array($0) } + bytes
    }

    init(_ settings: NativeSettings) throws {
        let name = Self.string("ssh-ed25519".utf8)
        let signer = HostKeySigner(blob: name + Self.string(Self.key.publicKey.rawRepresentation), schemes: [.ed25519])
        {
            (_, hash) throws(SSHError) in
            guard let signature = try? Self.key.signature(for: hash) else {
                throw SSHError(.local, "no signature was made")
            }
            return name + Self.string(signature)
        }
        transport = try Transport(role: .server, settings: settings, signer: signer)
        var random = RandomSource()
        connection = ConnectionLayer(
            role: .server, settings: settings.connection, output: PacketOutput.held(&random))
        try transport.start(preferred: [], &connection.output)
    }

    func receive(_ bytes: UnsafeMutableRawBufferPointer, _ handle: (EngineEvent) -> Void) throws(SSHError) -> Int {
        transport.input.lend(bytes)
        do throws(SSHError) {
            while let packet = try transport.next() {
                if let event = try take(packet) { handle(event) }
                if let event = resumed() { handle(event) }
            }
            try transport.keepLimits(&connection.output)
            connection.output.invariants()
        } catch {
            transport.fail(error, &connection.output)
            throw error
        }
        return transport.input.takeConsumed()
    }

    private func take(_ packet: OpenedPacket) throws(SSHError) -> EngineEvent? {
        let number = packet.number
        switch try transport.handle(packet, &connection.output) {
        case .nothing:
            if number == MessageNumber.newKeys { exchanges += 1 }
        case .secured:
            var info = ExtensionInfo()
            info.signatureAlgorithms = ["ssh-ed25519"]
            connection.output.send(info.bytes)
        case .service:
            connection.output.send(ServiceMessage.bytes(MessageNumber.serviceAccept, ServiceMessage.userAuth))
        case .authentication:
            // SSH_MSG_USERAUTH_SUCCESS (RFC 4252 §5.1).
            connection.output.send([52])
            transport.enterConnection()
        case .connection:
            if number == 93 { countGrant(packet) }
            return try connection.handle(packet)
        case .hostKey, .extensions: preconditionFailure("a server is told nothing of this kind")
        }
        return nil
    }

    private func countGrant(_ packet: OpenedPacket) {
        func number(_ at: Int) -> Int {
            Int(UInt32(bigEndian: packet.message.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
        }
        granted[UInt32(number(1)), default: 0] += number(5)
    }

    private func resumed() -> EngineEvent? {
        guard transport.takeResume(connection.output) else { return nil }
        connection.sendOwed()
        return .allSendable
    }

    var output: UnsafeRawBufferPointer { connection.output.unsent }

    func outputSent(_ count: Int) {
        connection.output.didSend(count)
        connection.sendOwed()
        transport.beginIfDue(&connection.output)
        _ = resumed()
    }

    func open(_ request: ChannelOpenRequest) throws(SSHError) -> ChannelNumber {
        try connection.open(request)
    }
    func openRequest(_ channel: ChannelNumber) -> ChannelOpenRequest { connection.openRequest(channel) }
    func accept(_ channel: ChannelNumber) { connection.accept(channel) }
    func refuse(_ channel: ChannelNumber, _ reason: OpenFailure, words: String) {
        connection.refuse(channel, reason, words: words)
    }
    func reserve(_ channel: ChannelNumber, maximum: Int) -> PayloadSlots {
        connection.reserve(channel, maximum: maximum)
    }
    func commit(_ channel: ChannelNumber, count: Int) {
        connection.commit(channel, count: count)
    }
    func credit(_ channel: ChannelNumber, count: Int) {
        connection.credit(channel, count: count)
    }
    func finish(_ channel: ChannelNumber) { connection.finish(channel) }
    func close(_ channel: ChannelNumber) { connection.close(channel) }
    func forwardRequest(_ request: PeerForwardNumber) -> PeerForwardRequest {
        connection.peerRequests.request(request)
    }
    func acceptForward(_ request: PeerForwardNumber, port: UInt16) {
        connection.acceptForward(request, port: port)
    }
    func refuseForward(_ request: PeerForwardNumber) { connection.refuseForward(request) }
    func disconnect() { connection.output.sendLastWord(.byApplication) }
}
