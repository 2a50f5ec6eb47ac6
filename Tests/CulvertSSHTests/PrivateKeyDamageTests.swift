import Testing

@testable import CulvertSSH

/// Key files that are not what they should be: each is refused in words, or is still the same key.
@Suite struct PrivateKeyDamageTests {
    /// The file opens as the key of this blob, or not at all.
    private func survives(_ file: [UInt8], _ blob: [UInt8], passphrase: String? = nil) {
        do throws(PrivateKeyFailure) {
            let key = try PrivateKey(secret(file), passphrase: passphrase.map { secret(Array($0.utf8)) })
            #expect(key.publicKey == blob)
        } catch {
            #expect(!error.description.isEmpty)
        }
    }

    private func refused(
        _ file: [UInt8], _ expected: PrivateKeyFailure, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(throws: expected, sourceLocation: sourceLocation) {
            try PrivateKey(secret(file), passphrase: secret(Array("phrase".utf8)))
        }
    }

    /// Every byte in every place of the layout is turned, and the file is cut everywhere.
    @Test(arguments: KeyBench.Kind.all, [nil, "phrase"])
    func everyByteOfAFile(_ kind: KeyBench.Kind, _ passphrase: String?) throws {
        let bench = try KeyBench()
        try bench.makeKey(kind, passphrase: passphrase ?? "")
        let binary = KeyFileText.binary(try bench.read("key"))
        let blob = try bench.publicKey()
        #expect(throws: Never.self) {
            try PrivateKey(secret(KeyFileText.armoured(binary)), passphrase: passphrase.map { secret(Array($0.utf8)) })
        }
        // Behind an encrypted section nothing is looked at that the passphrase has not opened, at a cost each time.
        let step = passphrase == nil ? (binary.count > 600 ? 5 : 1) : 23
        for place in stride(from: 0, to: binary.count, by: step) {
            var turned = binary
            turned[place] ^= UInt8(1 << (place % 8))
            survives(KeyFileText.armoured(turned), blob, passphrase: passphrase)
            let cut = KeyFileText.armoured(Array(binary.prefix(place)))
            #expect(throws: PrivateKeyFailure.self) {
                try PrivateKey(secret(cut), passphrase: passphrase.map { secret(Array($0.utf8)) })
            }
        }
    }

    @Test(arguments: PrivateKeyTests.Format.allCases, KeyBench.Kind.all)
    func everyByteOfAText(_ format: PrivateKeyTests.Format, _ kind: KeyBench.Kind) throws {
        let bench = try KeyBench()
        try bench.makeKey(kind, options: format.options)
        let text = try bench.read("key")
        let blob = try bench.publicKey()
        for place in stride(from: 0, to: text.count, by: text.count > 600 ? 11 : 3) {
            for byte in [0, 0x0a, UInt8(ascii: "="), 0xff, text[place] ^ 1] {
                var turned = text
                turned[place] = byte
                survives(turned, blob)
            }
            survives(Array(text.prefix(place)), blob)
        }
    }

    @Test func lengthsThatAreNotThereReserveNothing() throws {
        let huge: [UInt8] = [0xff, 0xff, 0xff, 0xff]
        let magic = Array("openssh-key-v1\0".utf8)
        let none = Script.string("none")
        for file in [
            magic + huge, magic + none + huge, magic + none + none + huge,
            magic + none + none + Script.string("") + huge,
            magic + none + none + Script.string("") + Script.u32(1) + huge,
            magic + none + none + Script.string("") + Script.u32(1) + Script.string("") + huge,
            magic + none + none + Script.string("") + Script.u32(1) + Script.string("") + [0x7f, 0xff, 0xff, 0xff], [],
        ] {
            refused(KeyFileText.armoured(file), .malformed("it is not laid out as openssh-key-v1"))
        }
        for count in [0, 2, 0xffff_ffff] {
            refused(
                KeyFileText.openSSH(count: count, section: []), .malformed("it is not laid out as openssh-key-v1"))
        }
    }

    private func section(_ fields: [UInt8], checks: (Int, Int) = (7, 7)) -> [UInt8] {
        Script.u32(checks.0) + Script.u32(checks.1) + fields
    }

    @Test func thePrivatePartIsChecked() throws {
        let layout = PrivateKeyFailure.malformed("its private part is not laid out as openssh-key-v1")
        let point = [UInt8](repeating: 3, count: 32)
        let key = Script.string("ssh-ed25519") + Script.string(point) + Script.string(point + point)
        let blob = Script.string("ssh-ed25519") + Script.string(point)
        let whole = section(key + Script.string("me"))
        func file(_ section: [UInt8], _ blob: [UInt8] = blob) -> [UInt8] {
            KeyFileText.openSSH(publicKey: blob, section: section)
        }
        let mismatch = PrivateKeyFailure.malformed("its private and public half do not belong together")
        refused(file(KeyFileText.padded(whole)), mismatch)
        refused(file(KeyFileText.padded(whole), Script.string("ssh-ed25519")), mismatch)
        refused(file(KeyFileText.padded(whole + [1, 2, 3, 4, 5, 6, 7, 8])), layout)
        var padding = KeyFileText.padded(whole)
        padding[padding.count - 1] ^= 1
        #expect(padding != whole, "there is padding to damage")
        refused(file(padding), layout)
        refused(
            file(KeyFileText.padded(section(key, checks: (7, 8)))), .malformed("its two check numbers differ"))
        refused(file(KeyFileText.padded(section(key))), layout)
        refused(file(KeyFileText.padded(section([]))), layout)
        refused(file([]), layout)
        refused(file(Array(whole.prefix(9))), .malformed("it is not laid out as openssh-key-v1"))
        refused(
            file(KeyFileText.padded(section(Script.string("ssh-\u{1b}[2J") + Script.string("")))),
            .unsupported("a key of type ssh-\\u{1b}[2J, which is not known here"))
        for length in [0, 31, 33, 64] {
            let other = [UInt8](repeating: 3, count: length)
            let fields = Script.string("ssh-ed25519") + Script.string(other) + Script.string(other + other)
            refused(
                file(
                    KeyFileText.padded(section(fields + Script.string(""))),
                    Script.string("ssh-ed25519") + Script.string(other)), mismatch)
        }
    }

    @Test(arguments: [
        ("nistp256", 65, 32), ("nistp256", 33, 32), ("nistp256", 65, 33), ("nistp256", 0, 0), ("nistp521", 133, 66),
        ("nistp384", 65, 32), ("nistp256", 65, 0),
    ])
    func aPointOffTheCurveIsNoKey(_ curve: String, _ point: Int, _ scalar: Int) {
        let point = [UInt8](repeating: 4, count: point)
        let blob = Script.string("ecdsa-sha2-\(curve)") + Script.string(curve) + Script.string(point)
        let fields = blob + Script.string([UInt8](repeating: 1, count: scalar)) + Script.string("")
        let file = KeyFileText.openSSH(publicKey: blob, section: KeyFileText.padded(section(fields)))
        let failure = #expect(throws: PrivateKeyFailure.self) { try PrivateKey(secret(file), passphrase: nil) }
        guard case .malformed? = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
    }

    /// Numbers that would make libcrypto divide by zero, or work without end, or that are of no one key.
    @Test func anRSAKeyOfOddNumbersIsNoKey() throws {
        let bench = try KeyBench()
        try bench.makeKey(.rsa)
        let binary = KeyFileText.binary(try bench.read("key"))
        let length = Script.number(binary, 15 + 8 + 8 + 4 + 4 + 4 + (try bench.publicKey().count))
        var rest = binary.suffix(length).dropFirst(8 + 11)
        var numbers: [[UInt8]] = []
        for _ in 0..<6 {
            let length = Script.number(rest, 0)
            numbers.append(Array(rest.dropFirst(4).prefix(length)))
            rest = rest.dropFirst(4 + length)
        }
        func open(_ numbers: [[UInt8]]) throws -> PrivateKey {
            let shown = Script.string("ssh-rsa") + Script.string(numbers[1]) + Script.string(numbers[0])
            let fields = Script.string("ssh-rsa") + numbers.flatMap { Script.string($0) } + Script.string("")
            let file = KeyFileText.openSSH(publicKey: shown, section: KeyFileText.padded(section(fields)))
            return try PrivateKey(secret(file), passphrase: nil)
        }
        #expect(throws: Never.self) { try open(numbers) }
        for place in 0..<6 {
            var near = numbers[place]
            near[near.count - 1] ^= 2
            for value in [[], [1], [2], [3], near, [UInt8](repeating: 0x7f, count: 2048)] {
                var odd = numbers
                odd[place] = value
                #expect(throws: PrivateKeyFailure.self, "number \(place) is \(value.prefix(4))") { try open(odd) }
            }
        }
    }

    @Test func whatAPassphraseGoesThroughIsBounded() {
        func options(_ salt: [UInt8], _ rounds: Int, _ after: [UInt8] = []) -> [UInt8] {
            Script.string(salt) + Script.u32(rounds) + after
        }
        func file(_ options: [UInt8], derivation: String = "bcrypt", section: Int = 16, after: [UInt8] = []) -> [UInt8]
        {
            KeyFileText.openSSH(
                cipher: "aes256-ctr", derivation: derivation, options: options,
                section: [UInt8](repeating: 0, count: section), after: after)
        }
        for rounds in [65537, 0xffff_ffff] {
            refused(
                file(options([1], rounds)),
                .unsupported(
                    "its passphrase goes through \(rounds) rounds of bcrypt, 65536 are the limit: "
                        + "`ssh-keygen -p -a 100 -f FILE` changes it"))
        }
        let none = PrivateKeyFailure.malformed("its options for bcrypt are none")
        for bad in [[], options([], 1), options([1], 0), options([1], 1, [0]), [0xff, 0xff, 0xff, 0xff]] as [[UInt8]] {
            refused(file(bad), none)
        }
        let length = PrivateKeyFailure.malformed("its encrypted part has an impossible length")
        refused(file(options([1], 1), section: 0), length)
        refused(file(options([1], 1), section: 17), length)
        refused(file(options([1], 1), after: [0]), length)
        refused(
            file(options([1], 1), derivation: "none"),
            .unsupported("its passphrase goes through none, which is not known here"))
        // An unknown key opens 16 bytes of zeros to what has two equal numbers once in 2^32.
        refused(file(options([1], 1)), .wrongPassphrase)
    }

    @Test(arguments: [
        "", "not a key", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n",
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nA*AA\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAA=A\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nA===\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0011\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    ])
    func whatIsNoKeyIsMalformed(_ text: String) {
        let failure = #expect(throws: PrivateKeyFailure.self) {
            try PrivateKey(secret(Array(text.utf8)), passphrase: secret(Array("phrase".utf8)))
        }
        guard case .malformed? = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
    }

    @Test func aFileLongerThanAnyKeyIsNotLookedAt() {
        let file = [UInt8](repeating: UInt8(ascii: "A"), count: PrivateKey.maximumFileLength + 1)
        refused(file, .malformed("65537 bytes are no key"))
    }

    /// PBKDF2 with more rounds than anybody waits for: the count is read before the work begins.
    @Test func costlyPKCS8IsRefused() throws {
        let bench = try KeyBench()
        try bench.run("openssl", ["genpkey", "-algorithm", "ed25519", "-out", "plain"])
        try bench.run(
            "openssl",
            [
                "pkcs8", "-topk8", "-in", "plain", "-outform", "DER", "-out", "der", "-passout", "pass:phrase", "-iter",
                "4660",
            ])
        let der = try bench.read("der")
        // INTEGER 0x1234 becomes INTEGER of four bytes; the lengths around it grow by two.
        let count: [UInt8] = [0x02, 0x02, 0x12, 0x34]
        let place = try #require((0..<der.count - 4).first { Array(der[$0..<$0 + 4]) == count })
        var costly = Array(der[..<place]) + [0x02, 0x04, 0x7f, 0xff, 0xff, 0xff] + Array(der[(place + 4)...])
        // Every SEQUENCE that holds the number, by its length in the short form or the long one of one byte.
        var index = 0
        while index < place {
            let long = costly[index + 1] == 0x81
            let length = Int(long ? costly[index + 2] : costly[index + 1])
            let header = long ? 3 : 2
            if costly[index] == 0x30, index + header + length + 2 > place {
                costly[index + header - 1] += 2
                index += header
            } else {
                index += header + length
            }
        }
        let text =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\(Base64Text.of(costly))\n-----END ENCRYPTED PRIVATE KEY-----\n"
        refused(Array(text.utf8), .unsupported("its passphrase takes too much work to check"))
    }
}
