internal import CulvertPlan
internal import Scenario

/// Four packets of payload on their whole way through SSH: framed and sealed by one engine, found, opened and credited
/// by the other, and the credit back. The wire is memory.
private struct PathRound: ~Copyable, Round {
    private static let packets = 4
    private var pair: Pair
    private let channel: ChannelNumber
    private let length: Int
    private var sent = 0

    init(_ cipher: PacketCipher, payloadLength: Int) throws {
        var settings = NativeSettings()
        settings.ciphers = AlgorithmList(cipher.name)
        settings.macs = cipher.mac.flatMap { AlgorithmList($0.rawValue) }
        let ends = try NativeEnds(settings, EverybodyIsWelcome())
        var pair = Pair(near: ends.client, far: FarSide(ends.server))
        channel = try pair.near.open(.directTCPIP(host: "far", port: 1, originator: "near", originatorPort: 2))
        pair.carry()
        guard pair.far.channel != nil, pair.near.sendable(channel) > 0 else { giveUp("the channel stays shut") }
        self.pair = pair
        length = payloadLength
    }

    mutating func prepare() {
        guard pair.far.received == sent else { giveUp("\(pair.far.received) of \(sent) bytes came") }
    }

    mutating func run() {
        for _ in 0..<Self.packets {
            guard pair.near.reserve(channel, maximum: length).totalLength == length,
                (try? pair.near.commit(channel, count: length)) != nil
            else { giveUp("the window is too small for a round") }
        }
        sent += Self.packets * length
        pair.carry()
    }
}

/// A link in memory, both ends of it.
private struct Pair: ~Copyable {
    var near: NativeEngine
    var far: FarSide
    private var toNear = Inbox()
    private var toFar = Inbox()

    init(near: consuming NativeEngine, far: consuming FarSide) {
        self.near = near
        self.far = far
    }

    /// Everything that is under way.
    mutating func carry() {
        repeat {
            toFar.append(near.output)
            near.outputSent(near.output.count)
            do { try far.receive(&toFar) } catch { giveUp("the far side fails: \(error)") }
            far.takeOutput(&toNear)
            near.receive(toNear.bytes)
            do throws(SSHError) { while try near.nextEvent() != nil {} } catch { giveUp("the engine fails: \(error)") }
            toNear.removeFirst(near.takeConsumed())
        } while toFar.count > 0 || toNear.count > 0 || !near.output.isEmpty
    }
}

let paths: [Scenario] = PacketCipher.protecting.flatMap { cipher in
    [100, 32768].map { length in
        Scenario("path-\(cipher.word)-\(length)") { try PathRound(cipher, payloadLength: length) }
    }
}
