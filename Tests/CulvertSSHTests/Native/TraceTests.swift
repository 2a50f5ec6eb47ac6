import CulvertPlan
import Glibc
import Testing

@testable import CulvertSSH

/// What is left in memory of passwords and keys once they are of no more use: nothing, on whichever way they went.
@Suite(.serialized) struct TraceTests {
    @Test func theSearchFindsWhatIsThere() throws {
        let trace = MemoryTrace.random(40)
        #expect(try trace.count() == 0)
        var copy = trace.secret().withBytes { Array($0) }
        #expect(try trace.count() == 1)
        do {
            let secret = trace.secret()
            #expect(try trace.count() == 2)
            withExtendedLifetime(secret) {}
        }
        #expect(try trace.count() == 1)
        for index in copy.indices { copy[index] = 0 }
        #expect(try trace.count() == 0)
    }

    // MARK: Passwords

    /// A server that may have been sent a password already, and what it is to be asked for by.
    private func login(_ password: Secret) throws -> ScriptedServer {
        let peer = try ScriptedServer()
        peer.client.authority.credentials = [.password(password)]
        try peer.lead(to: .authentication)
        return peer
    }

    private let wantsPassword = [51] + Script.string("password") + [0]

    /// The server reads nothing: the output is full, so that the password waits in the clear.
    private func fill(_ peer: ScriptedServer) throws {
        let left = OutputBlock.capacity - OutputBlock.exchangeRoom
        for _ in 0..<left / 40 where peer.client.end.output.count < left - 5000 {
            try peer.client.feed(peer.seal([200]))
        }
        while case let before = peer.client.end.output.count,
            try peer.client.feed(peer.seal([200])).isEmpty, peer.client.end.output.count > before
        {}
    }

    @Test func aPasswordIsGoneWhenItIsSent() throws {
        let trace = MemoryTrace.random(40)
        let peer = try login(trace.secret())
        // Not heard with the test's own ears, which would remember it.
        try peer.client.feed(peer.seal(wantsPassword))
        #expect(!peer.client.end.output.isEmpty)
        #expect(try trace.count() == 0)
        withExtendedLifetime(peer) {}
    }

    @Test(arguments: [false, true]) func aPasswordThatHadToWaitIsGoneToo(_ isSent: Bool) throws {
        let trace = MemoryTrace.random(40)
        do {
            let peer = try login(trace.secret())
            try fill(peer)
            try peer.client.feed(peer.seal(wantsPassword))
            #expect(try trace.count() == 1, "it waits")
            if isSent {
                #expect(!peer.client.takeAllOutput().isEmpty)
                #expect(try trace.count() == 0)
            }
            withExtendedLifetime(peer) {}
        }
        #expect(try trace.count() == 0)
    }

    /// The link ends while it waits.
    @Test func aPasswordThatIsNeverSentIsGoneToo() throws {
        let trace = MemoryTrace.random(40)
        let peer = try login(trace.secret())
        try fill(peer)
        try peer.client.feed(peer.seal(wantsPassword))
        #expect(try trace.count() == 1, "it waits")
        #expect(throws: SSHError.self) { try peer.client.feed(peer.seal([21])) }
        #expect(try trace.count() == 0)
        withExtendedLifetime(peer) {}
    }

    /// What waits moves about as it grows and shrinks, and leaves nothing behind.
    @Test func messagesThatWaitLeaveNothingBehind() throws {
        let traces = (0..<8).map { _ in MemoryTrace.random(32) }
        let place = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 1)
        defer { place.deallocate() }
        var queue = DeferredMessages()
        for (number, trace) in traces.enumerated() {
            [UInt8](repeating: 7, count: 100 << number % 4).withUnsafeBytes { queue.append($0) }
            trace.secret().withBytes { queue.append($0) }
            if number % 3 == 2 { queue.removeFirst(to: place) }
        }
        // What stands for good is what waits.
        #expect(try MemoryTrace.counts(traces) == [Int](repeating: 1, count: 8))
        while !queue.isEmpty { queue.removeFirst(to: place) }
        memset(place, 0, 4096)
        #expect(try MemoryTrace.counts(traces) == [Int](repeating: 0, count: 8))
    }

    // MARK: Keys

    /// A key in use stands in the cipher that uses it, and nowhere when it is replaced.
    @Test(arguments: CipherCase.all) func aReplacedKeyIsGone(_ test: CipherCase) throws {
        let random = MemoryTrace.random(test.cipher.keyLength)
        let trace = random.tail(16)
        let (iv, macKey) = (test.ivBytes, test.macKeyBytes())
        func key(_ direction: PacketKey.Direction) throws -> PacketKey {
            try random.secret().withBytes { bytes throws(SSHError) in
                try PacketKey(
                    test.cipher, key: bytes.assumingMemoryBound(to: UInt8.self).span, iv: iv.span,
                    macKey: macKey.span, direction, gcm: test.gcm)
            }
        }
        var sealer = PacketSealer()
        var opener = PacketOpener()
        sealer.setKey(try key(.sealing), resetsSequence: true)
        opener.setKey(try key(.opening), resetsSequence: true)
        for count in [1, 300, 32_000] {
            let message = [UInt8](repeating: 9, count: count)
            #expect(try opener.message(sealer.packet(message))?.message == message)
        }
        #expect(try trace.count() >= 2, "two ends have it")
        sealer.setKey(PacketKey(), resetsSequence: true)
        opener.setKey(PacketKey(), resetsSequence: true)
        #expect(try trace.count() == 0)
    }

    /// Of the other key exchanges.
    @Test(arguments: PairTests.furtherMethods)
    func aConnectionLeavesNoKeys(_ method: String) throws {
        try aConnectionLeavesNoKeys(method, "aes128-gcm@openssh.com")
    }

    /// K, and the keys made of it, of a whole connection: the first exchange and a later one.
    @Test(arguments: ["curve25519-sha256", "mlkem768x25519-sha256"], PairTests.protections)
    func aConnectionLeavesNoKeys(_ method: String, _ cipher: String) throws {
        var traces: [MemoryTrace] = []
        var macTraces: [MemoryTrace] = []
        let protection = try #require(CipherCase.all.map(\.cipher).first { $0.words == cipher })
        func remember(_ keys: KeyDerivation) {
            traces.append(MemoryTrace(keys.secret).tail(24))
            for letter in ["C", "D"] as [Unicode.Scalar] {
                traces.append(MemoryTrace(keys.key(letter, count: protection.keyLength)).tail(16))
            }
            guard protection.mac != nil else { return }
            for letter in ["E", "F"] as [Unicode.Scalar] {
                macTraces.append(MemoryTrace(keys.key(letter, count: protection.macKeyLength)).tail(16))
            }
        }
        do {
            var settings = NativeSettings()
            settings.keyExchange = AlgorithmList(method)
            let peer = try ScriptedServer(settings)
            peer.names.keyExchange = [method]
            peer.names.protect(cipher)
            for isLater in [false, true] {
                try peer.sayInit()
                do {
                    let keys = try peer.sayReply()
                    remember(keys)
                    try peer.sayNewKeys(keys)
                }
                if !isLater { try peer.say([6] + Script.string("ssh-userauth"), [52]) }
            }
            #expect(peer.client.isLoggedIn)
            try peer.say([200])
            #expect(peer.heard.last?.first == 3)
            peer.forgetKeys()
            // Of the first exchange nothing is of use any more, of the second the keys are, and K is not.
            let counts = try MemoryTrace.counts(traces)
            #expect(counts[..<4] == [0, 0, 0, 0] && counts[4...].allSatisfy { $0 > 0 }, "\(counts)")
            // Of a MAC's key only what it makes of the hash is kept.
            let macCounts = try MemoryTrace.counts(macTraces)
            #expect(macCounts.allSatisfy { $0 == 0 }, "\(macCounts)")
            withExtendedLifetime(peer) {}
        }
        let counts = try MemoryTrace.counts(traces + macTraces)
        #expect(counts.allSatisfy { $0 == 0 }, "\(counts)")
    }
}
