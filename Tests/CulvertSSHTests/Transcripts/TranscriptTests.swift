import CulvertPlan
import Foundation
import Testing

@testable import CulvertSSH

/// Recorded connections, replayed offline: the same inputs in the same order give the same bytes and the same events.
/// `make transcripts` records them anew; do that when what the engine sends has changed on purpose.
@Suite struct TranscriptTests {
    static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Recorded")

    /// Each of the methods that there were first with each cipher, and the others with one.
    static let combinations =
        PairTests.methods.flatMap { method in PairTests.ciphers.map { (method, $0) } }
        + PairTests.furtherMethods.map { ($0, "aes256-gcm@openssh.com") }

    static let names = combinations.map { name($0.0, $0.1) }

    static func name(_ method: String, _ cipher: String) -> String {
        "\(method)-\(cipher)".replacingOccurrences(of: "@", with: "-at-") + ".transcript"
    }

    private static func read(_ name: String) throws -> Transcript {
        try Transcript(text: String(contentsOf: directory.appendingPathComponent(name), encoding: .utf8))
    }

    /// Plays all steps; throws where the engine refuses one.
    private static func replay(_ transcript: Transcript) throws -> (again: Transcript, player: TranscriptPlayer) {
        let player = try TranscriptPlayer(transcript.settings)
        var again = Transcript()
        again.settings = transcript.settings
        for (step, _) in transcript.steps { again.steps.append((step, try player.perform(step))) }
        again.total = player.total
        return (again, player)
    }

    @Test func everyCombinationIsThere() throws {
        let found = try FileManager.default.contentsOfDirectory(atPath: Self.directory.path)
        #expect(Set(found) == Set(Self.names))
    }

    @Test(arguments: names)
    func replaysToTheSameBytes(_ name: String) throws {
        let transcript = try Self.read(name)
        let (again, player) = try Self.replay(transcript)
        let difference = again.firstDifference(from: transcript)
        #expect(difference == nil)
        #expect(player.isLoggedIn)
        let settings = transcript.settings
        #expect(player.summary == "culvert, \(settings.method), ssh-ed25519, \(settings.cipher)")
        #expect(Self.name(settings.method, settings.cipher) == name)
        // It is a whole connection: data both ways, before and after a re-exchange, and both ends of the channel.
        #expect(player.received == (0..<3000).map(TranscriptPlayer.payload))
        // OpenSSH names its keys once the login is done, other servers do not.
        let events = transcript.events.filter { $0 != "host keys offered" }
        #expect(events == ["opened 0", "all sendable", "probe answered", "ended 0", "closed 0 after end"])
    }

    @Test(arguments: names)
    func byteByByteTheSame(_ name: String) throws {
        let transcript = try Self.read(name)
        let player = try TranscriptPlayer(transcript.settings)
        var events: [String] = []
        for (step, _) in transcript.steps { events += try player.perform(step, drips: true).events }
        #expect(events == transcript.events)
        #expect(player.total.count == transcript.total.count && player.total.digest == transcript.total.digest)
    }

    /// The control: whatever is changed in a transcript, its replay fails or gives something else.
    @Test(arguments: names)
    func whatIsDamagedDoesNotReplay(_ name: String) throws {
        let transcript = try Self.read(name)
        func differs(_ damaged: Transcript) -> Bool {
            guard let again = try? Self.replay(damaged).again else { return true }
            return again.firstDifference(from: damaged) != nil
        }
        var isNoticed = differs(transcript)
        #expect(!isNoticed)
        for (index, entry) in transcript.steps.enumerated() {
            guard case .hear(let bytes) = entry.step else { continue }
            // Not the last byte: before there are keys it is padding, which nothing protects.
            for place in [0, bytes.count / 2, bytes.count * 3 / 4] {
                var damaged = transcript
                var changed = bytes
                changed[place] ^= 4
                damaged.steps[index].step = .hear(changed)
                isNoticed = differs(damaged)
                #expect(isNoticed, "step \(index), byte \(place)")
            }
            var damaged = transcript
            damaged.steps[index].step = .hear([])
            isNoticed = differs(damaged)
            #expect(isNoticed, "step \(index) is left out")
        }
        var other = transcript
        other.settings.seed += 1
        isNoticed = differs(other)
        #expect(isNoticed)
        other = transcript
        other.total.count += 1
        isNoticed = differs(other)
        #expect(isNoticed)
    }

    /// Without a seed no two connections are alike.
    @Test func theSystemsRandomnessIsTheDefault() throws {
        var settings = NativeSettings.curve
        // So that KEXINIT, with its cookie, goes out at once.
        settings.ciphers = AlgorithmList("aes256-gcm@openssh.com")
        var seen: Set<[UInt8]> = []
        for random in [nil, nil, RandomSource.reproducible(seed: 1), .reproducible(seed: 1), .reproducible(seed: 2)] {
            let node = try random.map { try NativeNode(settings, random: $0) } ?? NativeNode(settings)
            try node.start()
            seen.insert(node.takeAllOutput())
        }
        #expect(seen.count == 4)
        #expect(!RandomSource().isReproducible)
    }
}
