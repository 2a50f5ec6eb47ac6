import Testing

@testable import CulvertSSH

/// Key files as people have them, made by the tools that make them, and what is signed with them.
@Suite struct PrivateKeyTests {
    /// How `ssh-keygen` writes a key.
    enum Format: String, CaseIterable {
        case openSSH, pem, pkcs8

        var options: [String] {
            switch self {
            case .openSSH: []
            case .pem: ["-m", "PEM"]
            case .pkcs8: ["-m", "PKCS8"]
            }
        }
    }

    @Test(arguments: KeyBench.Kind.all, Format.allCases)
    func everyKeySigns(_ kind: KeyBench.Kind, _ format: Format) throws {
        for passphrase in [nil, "correct horse"] {
            let bench = try KeyBench()
            try bench.makeKey(kind, passphrase: passphrase ?? "", options: format.options)
            let key = try bench.key(passphrase: passphrase)
            #expect(key.type == kind.name)
            #expect(key.publicKey == (try bench.publicKey()))
            for algorithm in SignatureAlgorithm.names(keyType: key.type) {
                try bench.checkSignature(of: key, algorithm: algorithm)
            }
            // A passphrase that is not needed does no harm.
            if passphrase == nil { _ = try bench.key(passphrase: "superfluous") }
        }
    }

    @Test(arguments: KeyBench.Kind.all, Format.allCases)
    func aWrongPassphraseIsCalledSo(_ kind: KeyBench.Kind, _ format: Format) throws {
        let bench = try KeyBench()
        try bench.makeKey(kind, passphrase: "correct horse", options: format.options)
        for wrong in ["wrong", "", "correct horse ", String(repeating: "x", count: 5000)] {
            #expect(throws: PrivateKeyFailure.wrongPassphrase) { try bench.key(passphrase: wrong) }
        }
        #expect(throws: PrivateKeyFailure.needsPassphrase) { try bench.key() }
        #expect(PrivateKeyFailure.wrongPassphrase.description == Credential.wrongPassphrase)
    }

    /// What `ssh-keygen` makes when nothing is said but a passphrase, in every way that was or is the default: RSA of 3072
    /// bits until OpenSSH 9.4, Ed25519 since, 16 rounds and 24.
    @Test(arguments: [["-t", "rsa", "-b", "3072"], ["-t", "ed25519"], ["-t", "ed25519", "-a", "24"], []])
    func theDefaultsOfSSHKeygenWork(_ options: [String]) throws {
        let bench = try KeyBench()
        try bench.run("ssh-keygen", ["-q", "-N", "a passphrase", "-f", "key"] + options)
        let key = try bench.key(passphrase: "a passphrase")
        #expect(key.publicKey == (try bench.publicKey()))
        try bench.checkSignature(of: key, algorithm: SignatureAlgorithm.names(keyType: key.type)[0])
    }

    @Test(arguments: [
        "aes128-ctr", "aes192-ctr", "aes256-ctr", "aes128-cbc", "aes192-cbc", "aes256-cbc", "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "3des-cbc",
    ])
    func everyCipherOfKeyFilesOpens(_ cipher: String) throws {
        let bench = try KeyBench()
        try bench.makeKey(.p256, passphrase: "phrase", options: ["-Z", cipher])
        #expect(try bench.key(passphrase: "phrase").publicKey == bench.publicKey())
        #expect(throws: PrivateKeyFailure.wrongPassphrase) { try bench.key(passphrase: "phrasE") }
    }

    /// Every cipher with which ssh-keygen here encrypts a key is known.
    @Test func theCiphersOfSSHKeygenAreKnown() throws {
        let names = try KeyBench().run("ssh", ["-Q", "cipher"]).split(separator: "\n").map(String.init)
        #expect(names.count > 8 && names.allSatisfy { KeyFileCipher($0) != nil })
        #expect(KeyFileCipher("aes256-ctr ") == nil && KeyFileCipher("rijndael-cbc@lysator.liu.se") == nil)
    }

    @Test(arguments: [
        ["genpkey", "-algorithm", "ed25519"], ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        ["ecparam", "-name", "prime256v1", "-genkey"],
        ["ecparam", "-name", "secp521r1", "-genkey", "-conv_form", "compressed"],
        ["genrsa", "-traditional", "2048"],
    ])
    func keysOfOpenSSLSign(_ arguments: [String]) throws {
        let bench = try KeyBench()
        try bench.run("openssl", [arguments[0], "-out", "key"] + arguments.dropFirst())
        let key = try bench.key()
        // The public half in OpenSSH's form comes from ssh-keygen, which refuses a file that others can read.
        try bench.run("chmod", ["600", "key"])
        if key.type == "ssh-ed25519" {
            // ssh-keygen 9.2 does not read this kind: the signature alone is compared.
            let line = "\(key.type) \(Base64Text.of(key.publicKey))"
            try bench.write("key.pub", Array(line.utf8))
        } else {
            try bench.write("key.pub", Array(try bench.run("ssh-keygen", ["-y", "-f", "key"]).utf8))
            #expect(key.publicKey == (try bench.publicKey()))
        }
        for algorithm in SignatureAlgorithm.names(keyType: key.type) {
            try bench.checkSignature(of: key, algorithm: algorithm)
        }
        if key.type == "ssh-ed25519" {
            try bench.run("openssl", ["pkey", "-in", "key", "-pubout", "-outform", "DER", "-out", "public"])
            #expect(try bench.read("public").suffix(32) == key.publicKey.suffix(32))
        }
    }

    @Test(arguments: [
        ["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"], ["-v2", "aes-128-cbc", "-iter", "50000"], ["-scrypt"],
        ["-v2", "des3"],
    ])
    func encryptedPKCS8OfOpenSSLOpens(_ options: [String]) throws {
        let bench = try KeyBench()
        try bench.run("openssl", ["genpkey", "-algorithm", "ed25519", "-out", "plain"])
        try bench.run(
            "openssl", ["pkcs8", "-topk8", "-in", "plain", "-out", "key", "-passout", "pass:phrase"] + options)
        let plain = try bench.key("plain").publicKey
        #expect(try bench.key(passphrase: "phrase").publicKey == plain)
        #expect(throws: PrivateKeyFailure.wrongPassphrase) { try bench.key(passphrase: "other") }
        #expect(throws: PrivateKeyFailure.needsPassphrase) { try bench.key() }
    }

    @Test(arguments: ["aes128", "aes256", "des3"])
    func traditionalPEMOfOpenSSLOpens(_ cipher: String) throws {
        let bench = try KeyBench()
        try bench.run(
            "openssl", ["genrsa", "-traditional", "-\(cipher)", "-passout", "pass:phrase", "-out", "key", "2048"])
        #expect(try bench.key(passphrase: "phrase").type == "ssh-rsa")
        // Wrong passphrases whose padding happens to look right are among so many.
        for number in 0..<600 {
            #expect(throws: PrivateKeyFailure.wrongPassphrase) { try bench.key(passphrase: "wrong \(number)") }
        }
    }

    @Test(arguments: [1024, 2047])
    func aShortRSAKeyIsRefused(_ bits: Int) throws {
        let bench = try KeyBench()
        try bench.run("openssl", ["genrsa", "-out", "key", "\(bits)"])
        let failure = #expect(throws: PrivateKeyFailure.self) { try bench.key() }
        #expect(failure?.description == "an RSA key of \(bits) bits; 2048 to 16384 are taken")
    }

    @Test(arguments: [
        ["ecparam", "-name", "secp256k1", "-genkey"], ["genpkey", "-algorithm", "ed448"],
        ["genpkey", "-algorithm", "X25519"],
    ])
    func aKeyThatSSHDoesNotKnowIsRefused(_ arguments: [String]) throws {
        let bench = try KeyBench()
        try bench.run("openssl", arguments + ["-out", "key"])
        let failure = #expect(throws: PrivateKeyFailure.self) { try bench.key() }
        guard case .unsupported? = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
    }

    @Test func aHardwareKeyIsSentToTheAgent() throws {
        let section: [UInt8] =
            Script.u32(1) + Script.u32(1) + Script.string("sk-ssh-ed25519@openssh.com")
            + Script.string([UInt8](repeating: 1, count: 32)) + Script.string("ssh:") + [0] + Script.string("handle")
            + Script.string("") + Script.string("comment")
        let file = KeyFileText.openSSH(section: KeyFileText.padded(section))
        let failure = #expect(throws: PrivateKeyFailure.self) { try PrivateKey(secret(file), passphrase: nil) }
        #expect(failure?.description.contains("ssh-add") == true)
    }

    @Test func theSecretsOfAMessageDoNotShow() throws {
        let bench = try KeyBench()
        try bench.makeKey(.ed25519)
        let contents = secret(try bench.read("key"))
        #expect("\(contents)" == "Secret(…)")
    }
}
