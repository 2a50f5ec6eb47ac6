import CulvertIO
import Simulation

@testable import CulvertRelay

/// One end of a flow in a storm: what it says, how it ends, and what it may believe of the other end. The first bytes of
/// its payload are its name, so that each knows whom it was joined with, whatever became of links meanwhile.
final class Party {
    static let nameLength = 8
    /// What a SOCKS 5 client is told that gets what it asked for.
    static let granted: [UInt8] = [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]

    let name: [UInt8]
    let peer: any Peer
    /// What it says first and is no payload: where it wants to go, in SOCKS.
    let preface: [UInt8]
    /// It broke off, or closed without looking: it cannot be told anything.
    private(set) var hasGone = false
    private(set) var isPatient = true
    private var payload: [UInt8] = []
    private var hasEnded = false
    /// What had left when it closed, its preface included.
    private var leftAtClose: Int?

    init(_ peer: any Peer, number: Int, isNear: Bool, preface: [UInt8] = []) {
        name = [isNear ? 0xa5 : 0x5a] + (0..<7).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) ^ 0x33 }
        self.peer = peer
        self.preface = preface
        peer.write(preface)
        say(name)
    }

    private func say(_ bytes: [UInt8]) {
        guard !hasEnded, !hasGone else { return }
        payload += bytes
        peer.write(bytes)
    }

    private func finish() {
        guard !hasEnded, !hasGone else { return }
        hasEnded = true
        peer.finish()
    }

    private func breakOff() {
        guard !hasGone else { return }
        hasGone = true
        isPatient = false
        peer.reset()
    }

    /// As close(2): a reset if something lies unread.
    private func close() {
        guard !hasGone, let socket = peer as? SimulatedPeer else { return breakOff() }
        hasGone = true
        isPatient = false
        if !hasEnded { leftAtClose = preface.count + payload.count - socket.unsent }
        hasEnded = true
        socket.close()
    }

    /// Speaks, pauses and ends at moments within `span` and, where it waits long, a few times that. `mayBreak`: it may end
    /// otherwise than by saying so.
    func act(in network: SimulatedNetwork, within span: Tick.Span, mayBreak: Bool, _ dice: inout Dice) {
        func moment(_ from: Double, _ to: Double) -> Tick.Span {
            .seconds(span.seconds * Double.random(in: from...to, using: &dice))
        }
        let total = [0, 100, 5000, 60_000].randomElement(using: &dice)!
        let pieces = Int.random(in: 1...4, using: &dice)
        for _ in 0..<pieces {
            let bytes = dice.bytes(Int.random(in: 0...total, using: &dice) / pieces)
            network.schedule(after: moment(0, 1)) { self.say(bytes) }
        }
        if Int.random(in: 0..<10, using: &dice) < 3 {
            network.schedule(after: moment(0, 0.5)) { self.peer.isReading = false }
            network.schedule(after: moment(0.5, 4)) { self.peer.isReading = true }
        }
        switch mayBreak ? Int.random(in: 0..<20, using: &dice) : 0 {
        case 0..<9: network.schedule(after: moment(0, 1.2)) { self.finish() }
        case 9..<11:
            network.schedule(after: moment(0, 1)) { self.finish() }
            network.schedule(after: moment(1, 2)) { self.breakOff() }
        case 11..<14: network.schedule(after: moment(0, 1.5)) { self.breakOff() }
        case 14..<17: network.schedule(after: moment(0, 1.5)) { self.close() }
        // Waits for the other end, and longer.
        default: network.schedule(after: moment(4, 5)) { self.finish() }
        }
    }

    // MARK: What it may believe

    /// What came to it as payload.
    var heard: ArraySlice<UInt8> {
        guard !preface.isEmpty else { return peer.received[...] }
        return peer.received.starts(with: Self.granted) ? peer.received.dropFirst(Self.granted.count) : []
    }

    /// All payload that it was given to say.
    var said: [UInt8] { payload }

    /// What it had sent before its own clean end; nil when it has had none.
    var saidWhole: ArraySlice<UInt8>? {
        if let stream = peer as? FarStream {
            return stream.hasFinished || stream.hasBrokenOff ? stream.said.dropFirst(preface.count) : nil
        }
        if let leftAtClose { return (preface + payload).prefix(leftAtClose).dropFirst(preface.count) }
        return (peer as? SimulatedPeer)?.hasFinished == true ? payload[...] : nil
    }

    /// It knows that the flow is over, or has gone itself.
    var isTold: Bool {
        if let stream = peer as? FarStream {
            return stream.peerClosed || stream.isOver || stream.hasBrokenOff || stream.refusal != nil
        }
        return hasGone || peer.sawEnd || peer.sawReset
    }
}

/// What many flows came to, by the law of ends.
struct Judgement {
    private(set) var cleanEnds = 0
    private(set) var resets = 0
    private(set) var shortened = 0
    private(set) var joined = 0

    /// Judges every party: what came is the beginning of what its other end said, and where it saw a clean end it is all
    /// that was said before the other end's own.
    mutating func judge(_ parties: [Party]) throws {
        let byName = Dictionary(uniqueKeysWithValues: parties.map { ($0.name, $0) })
        var whoHears: [[UInt8]: Party] = [:]
        for party in parties where party.heard.count >= Party.nameLength {
            let name = Array(party.heard.prefix(Party.nameLength))
            guard byName[name] != nil else { throw Missed("somebody heard what nobody said: \(name)") }
            guard whoHears.updateValue(party, forKey: name) == nil else { throw Missed("one was heard by two") }
        }
        for party in parties {
            if party.peer.sawEnd { cleanEnds += 1 } else if party.peer.sawReset { resets += 1 }
            let heard = party.heard
            guard let other = byName[Array(heard.prefix(Party.nameLength))] ?? whoHears[party.name] else {
                // Nobody it was joined with is known: then it heard less than a name.
                guard heard.count < Party.nameLength else { throw Missed("nobody said that") }
                continue
            }
            joined += 1
            if let back = whoHears[party.name], back !== other { throw Missed("two flows were crossed") }
            guard other.said.starts(with: heard) else {
                throw Missed(Pairing.difference("\(party.name)", Array(heard), other.said))
            }
            if heard.count < other.said.count { shortened += 1 }
            guard party.peer.sawEnd else { continue }
            guard let whole = other.saidWhole else {
                throw Missed("\(party.name) saw a clean end, and \(other.name) has had none")
            }
            guard heard.count == whole.count else {
                throw Missed("\(party.name) saw a clean end after \(heard.count) of \(whole.count) bytes")
            }
        }
    }
}
