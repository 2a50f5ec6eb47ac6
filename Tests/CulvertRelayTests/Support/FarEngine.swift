import CulvertIO
import CulvertPlan
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
    /// Lets itself send so much more than the worker's engine granted: what a server does that counts badly.
    func exceedWindow(_ channel: ChannelNumber, by count: Int)
    func finish(_ channel: ChannelNumber)
    func close(_ channel: ChannelNumber)
    func forwardRequest(_ request: PeerForwardNumber) -> PeerForwardRequest
    func acceptForward(_ request: PeerForwardNumber, port: UInt16)
    func refuseForward(_ request: PeerForwardNumber)
    func disconnect()

    /// Bytes that WINDOW_ADJUST messages granted, by our own number of the channel: counted at this end, so by somebody
    /// else than the worker's engine.
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

extension NullCipherEngine: PairedEngine {
    static func paired(_ script: Script) throws -> EnginePair<NullCipherEngine> {
        var near = NullCipherEngine(role: .client, settings: script.settings)
        near.keyExchange = script.keyExchange
        return EnginePair(near: near, far: FarLink(NullCipherEngine(role: .server, settings: script.settings)))
    }
}

extension NativeEngine: PairedEngine {
    /// The whole login between the two, in memory.
    static func paired(_ script: Script) throws -> EnginePair<NativeEngine> {
        var settings = NativeSettings()
        settings.connection = script.settings
        settings.ciphers = script.cipher.flatMap { AlgorithmList($0) }
        if let bytes = script.rekeyBytes { settings.rekeyLimits.bytes = bytes }
        let ends = try NativeEnds(settings, EverybodyIsWelcome())
        return EnginePair(near: ends.client, far: FarLink(ends.server))
    }
}

/// An engine in the server's role, of either kind.
final class FarLink<Engine: ConnectionEngine & ~Copyable>: FarEngine {
    /// What the worker has granted on a channel since it stands: what may be sent, with what was.
    private struct Grants {
        var sent = 0
        var seen: Int
    }

    private var engine: Engine
    private var open: [ChannelNumber: Grants] = [:]
    private(set) var granted: [UInt32: Int] = [:]
    var exchanges: Int { Int(engine.keyRenewals ?? 0) }

    init(_ engine: consuming Engine) { self.engine = engine }

    func receive(_ bytes: UnsafeMutableRawBufferPointer, _ handle: (EngineEvent) -> Void) throws(SSHError) -> Int {
        engine.receive(bytes)
        while let event = try engine.nextEvent() {
            switch event {
            case .openRequested(let channel), .opened(let channel): open[channel] = Grants(seen: available(channel))
            case .payload, .openRefused, .sendable, .allSendable, .ended, .closed, .violated, .forwardAnswered,
                .forwardRequested, .commandRefused, .probeAnswered, .hostKeysOffered, .hostKeyProofAnswered:
                break
            }
            handle(event)
        }
        countGrants()
        engine.connection.invariants()
        return engine.takeConsumed()
    }

    private func available(_ channel: ChannelNumber) -> Int {
        Int(engine.connection.channels[channel].sendWindow.available)
    }

    private func countGrants() {
        for (channel, grants) in open {
            let seen = available(channel) + grants.sent
            guard seen > grants.seen else { continue }
            granted[channel.value, default: 0] += seen - grants.seen
            open[channel]?.seen = seen
        }
    }

    var output: UnsafeRawBufferPointer { engine.output }
    func outputSent(_ count: Int) { engine.outputSent(count) }
    func open(_ request: ChannelOpenRequest) throws(SSHError) -> ChannelNumber { try engine.open(request) }
    func openRequest(_ channel: ChannelNumber) -> ChannelOpenRequest { engine.openRequest(channel) }
    func accept(_ channel: ChannelNumber) { engine.accept(channel) }
    func refuse(_ channel: ChannelNumber, _ reason: OpenFailure, words: String) {
        open[channel] = nil
        engine.refuse(channel, reason, words: words)
    }
    func reserve(_ channel: ChannelNumber, maximum: Int) -> PayloadSlots { engine.reserve(channel, maximum: maximum) }
    func commit(_ channel: ChannelNumber, count: Int) {
        open[channel]?.sent += count
        engine.connection.commit(channel, count: count)
    }
    func credit(_ channel: ChannelNumber, count: Int) { engine.credit(channel, count: count) }
    func exceedWindow(_ channel: ChannelNumber, by count: Int) {
        _ = engine.connection.channels[channel].sendWindow.add(UInt32(count))
        open[channel]?.seen += count
    }
    func finish(_ channel: ChannelNumber) { engine.finish(channel) }
    func close(_ channel: ChannelNumber) {
        open[channel] = nil
        engine.close(channel)
    }
    func forwardRequest(_ request: PeerForwardNumber) -> PeerForwardRequest { engine.forwardRequest(request) }
    func acceptForward(_ request: PeerForwardNumber, port: UInt16) { engine.acceptForward(request, port: port) }
    func refuseForward(_ request: PeerForwardNumber) { engine.refuseForward(request) }
    func disconnect() { engine.disconnect() }
}
