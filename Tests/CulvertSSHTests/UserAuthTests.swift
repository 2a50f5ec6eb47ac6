import Testing

@testable import CulvertSSH

/// The ways of a login, against a server that a test plays.
@Suite struct UserAuthTests {
    private let password = Credential.password(secret(Array("open sesame".utf8)))
    private static let key = Script.string("ssh-ed25519") + Script.string([UInt8](repeating: 7, count: 32))
    private static let signature = Script.string("ssh-ed25519") + Script.string([UInt8](repeating: 8, count: 64))

    private func signer(
        _ key: [UInt8] = Self.key, _ sign: @escaping ([UInt8]) throws(SSHError) -> [UInt8] = { _ in Self.signature }
    ) -> Credential {
        .signer(name: "agent key", publicKey: key) { data throws(SSHError) in try sign(Array(data)) }
    }

    private func denied(_ words: String, _ body: () throws -> Void) {
        let error = #expect(throws: SSHError.self) { try body() }
        #expect(error?.kind == .authentication)
        #expect(error?.description == words)
    }

    // MARK: none

    @Test func aServerThatAsksForNothing() throws {
        let bench = LoginBench(ScriptedAuthority())
        #expect(try bench.begin() == Script.authRequest("none"))
        #expect(try bench.hear(Script.success) == nil)
        #expect(bench.isLoggedIn)
        #expect(bench.authority.takeEvents().isEmpty)
    }

    @Test func nothingToLogInWith() throws {
        let authority = ScriptedAuthority()
        denied("Permission denied (publickey,password)") {
            _ = try LoginBench.afterNone(authority, methods: "publickey,password")
        }
        #expect(authority.takeEvents() == ["next publickey,password"])
    }

    @Test func namesOfMethodsThatAreNoneAreLeftOut() throws {
        let authority = ScriptedAuthority()
        denied("Permission denied (a,b)") {
            _ = try LoginBench.afterNone(authority, methods: "a,\u{1b}[2J,,b,\(String(repeating: "x", count: 65)),ü")
        }
    }

    @Test func aUserNameLongerThanAPacket() {
        let authority = ScriptedAuthority(user: String(repeating: "a", count: 40_000))
        let error = #expect(throws: SSHError.self) { _ = try LoginBench(authority).begin() }
        #expect(error?.kind == .local)
    }

    // MARK: password

    @Test func passwords() throws {
        let authority = ScriptedAuthority([.password(secret(Array("wrong".utf8))), password])
        let (bench, first) = try LoginBench.afterNone(authority)
        #expect(first == Script.password("wrong"))
        #expect(try bench.hear(Script.failure("password")) == Script.password("open sesame"))
        #expect(authority.takeEvents().suffix(2) == ["refused -", "next password"])
        _ = try bench.hear(Script.success)
        #expect(bench.isLoggedIn)
        #expect(authority.takeEvents().isEmpty)
    }

    @Test func aPasswordThatIsToBeChangedIsRefused() throws {
        let authority = ScriptedAuthority([password, .keyboardInteractive])
        let (bench, _) = try LoginBench.afterNone(authority)
        _ = authority.takeEvents()
        #expect(try bench.hear(Script.passwordChange("Expired\u{1b}[2J")) == Script.interactive)
        #expect(
            authority.takeEvents() == [
                "refused the server wants the password changed, with another program: Expired\\u{1b}[2J",
                "next publickey,password,keyboard-interactive",
            ])
    }

    @Test func aPasswordLongerThanAPacketIsNotSent() throws {
        let long = Credential.password(secret([UInt8](repeating: 65, count: 33_000)))
        let authority = ScriptedAuthority([long, password])
        let (_, said) = try LoginBench.afterNone(authority)
        #expect(said == Script.password("open sesame"))
        #expect(authority.takeEvents()[1] == "refused longer than a packet")
    }

    // MARK: publickey

    /// RFC 4252 §7: the signature is over the session id and the request. Ed25519 signs the same twice.
    @Test func aKeyFileSignsAtOnce() throws {
        let keys = try KeyBench()
        try keys.makeKey(.ed25519)
        let contents = secret(try keys.read("key"))
        let authority = ScriptedAuthority([.keyFile(name: "key", contents: contents, passphrase: nil)])
        let (bench, said) = try LoginBench.afterNone(authority)
        let request = Script.signed("ssh-ed25519", try keys.publicKey())
        let data = Script.string(LoginBench.sessionID) + request
        let signature = try data.withUnsafeBytes { try keys.key().sign($0, algorithm: "ssh-ed25519") }
        #expect(said == request + Script.string(signature))
        _ = try bench.hear(Script.success)
        #expect(bench.isLoggedIn)
    }

    /// OpenSSH's PROTOCOL §3.1: where the server takes it, its host key is signed too; the question whether is as ever.
    @Test func aLoginIsBoundToTheHost() throws {
        let keys = try KeyBench()
        try keys.makeKey(.ed25519)
        let key = try keys.publicKey()
        let credential = Credential.keyFile(name: "key", contents: secret(try keys.read("key")), passphrase: nil)
        var asked: [[UInt8]] = []
        let signer = Credential.signer(name: "agent", publicKey: key) { data throws(SSHError) in
            asked.append(Array(data))
            return Script.string("ssh-ed25519") + Script.string([UInt8](repeating: 7, count: 64))
        }
        let bench = LoginBench(ScriptedAuthority([credential, signer]))
        bench.client.takesHostBound = true
        _ = try bench.begin()
        let request = Script.authRequest(
            "publickey-hostbound-v00@openssh.com",
            [1] + Script.string("ssh-ed25519") + Script.string(key) + Script.string(LoginBench.hostKey))
        let data = Script.string(LoginBench.sessionID) + request
        let signature = try data.withUnsafeBytes { try keys.key().sign($0, algorithm: "ssh-ed25519") }
        #expect(try bench.hear(Script.failure("publickey")) == request + Script.string(signature))
        #expect(LoginData.algorithm(in: data, key: key) == "ssh-ed25519")
        #expect(LoginData.algorithm(in: data.dropLast(4) + [], key: key) == nil)
        #expect(LoginData.algorithm(in: data + Script.string("more"), key: key) == nil)
        #expect(try bench.hear(Script.failure("publickey")) == Script.probe("ssh-ed25519", key))
        let said = try bench.hear(Script.publicKeyOK("ssh-ed25519", key))
        #expect(said?.starts(with: request) == true)
        #expect(asked == [data])
    }

    @Test func aFileThatDoesNotOpenCostsTheServerNothing() throws {
        let keys = try KeyBench()
        try keys.makeKey(.ed25519, passphrase: "phrase")
        let contents = secret(try keys.read("key"))
        func file(_ passphrase: String?, _ contents: Secret) -> Credential {
            .keyFile(name: "key", contents: contents, passphrase: passphrase.map { secret(Array($0.utf8)) })
        }
        let authority = ScriptedAuthority([
            file("wrong", contents), file(nil, contents), file(nil, secret(Array("no key".utf8))),
            file("phrase", contents),
        ])
        let (_, said) = try LoginBench.afterNone(authority, methods: "publickey")
        #expect(said?.starts(with: Script.signed("ssh-ed25519", try keys.publicKey())) == true)
        #expect(
            authority.takeEvents() == [
                "next publickey", "refused \(Credential.wrongPassphrase)", "next publickey",
                "refused encrypted, and no passphrase was given", "next publickey",
                "refused damaged: it is no private key that can be read", "next publickey",
            ])
    }

    @Test func aSignerIsAskedOnceTheServerTakesItsKey() throws {
        var asked: [[UInt8]] = []
        let authority = ScriptedAuthority([
            signer { data in
                asked.append(data)
                return Self.signature
            }
        ])
        let (bench, said) = try LoginBench.afterNone(authority)
        #expect(said == Script.probe("ssh-ed25519", Self.key))
        #expect(asked.isEmpty)
        let request = Script.signed("ssh-ed25519", Self.key)
        #expect(
            try bench.hear(Script.publicKeyOK("ssh-ed25519", Self.key)) == request + Script.string(Self.signature))
        #expect(asked == [Script.string(LoginBench.sessionID) + request])
        _ = try bench.hear(Script.success)
        #expect(bench.isLoggedIn)
    }

    @Test func aSignerWhoseKeyIsRefusedIsNotAsked() throws {
        let authority = ScriptedAuthority([
            signer { _ throws(SSHError) in throw SSHError(.local, "asked for nothing") }, password,
        ])
        let (bench, _) = try LoginBench.afterNone(authority)
        _ = authority.takeEvents()
        // That the probe was a partial success is a lie: nothing was proven.
        #expect(try bench.hear(Script.failure("password", partial: true)) == Script.password("open sesame"))
        #expect(authority.takeEvents() == ["refused -", "next password"])
    }

    @Test func aSignerThatDoesNotSignIsRefused() throws {
        let sha1 = Script.string("ssh-rsa") + Script.string([1])
        let rsa = Script.string("ssh-rsa") + Script.string([1, 0, 1]) + Script.string([1])
        let authority = ScriptedAuthority([
            signer { _ throws(SSHError) in throw SSHError(.local, "the agent refused to sign") },
            signer(rsa) { _ in sha1 }, signer { _ in [] }, signer([0, 0, 0, 9, 1]), signer([]), password,
        ])
        let (bench, _) = try LoginBench.afterNone(authority)
        _ = authority.takeEvents()
        let probe = try bench.hear(Script.publicKeyOK("ssh-ed25519", Self.key))
        #expect(probe == Script.probe("rsa-sha2-512", rsa))
        _ = try bench.hear(Script.publicKeyOK("rsa-sha2-512", rsa))
        #expect(try bench.hear(Script.publicKeyOK("ssh-ed25519", Self.key)) == Script.password("open sesame"))
        #expect(
            authority.takeEvents().filter { $0.hasPrefix("refused") } == [
                "refused the agent refused to sign", "refused signed with ssh-rsa instead of rsa-sha2-512",
                "refused what came is no signature", "refused not a public key", "refused not a public key",
            ])
    }

    @Test(arguments: [
        Script.publicKeyOK("ssh-ed25519", [0]), Script.publicKeyOK("ssh-rsa", Self.key),
        Script.publicKeyOK("", Self.key), Script.publicKeyOK("ssh-ed25519", Self.key) + [0], [60],
        Script.infoRequest("", "", []),
    ])
    func anAnswerForAnotherKeyEndsTheLogin(_ message: [UInt8]) throws {
        let (bench, _) = try LoginBench.afterNone(ScriptedAuthority([signer()]))
        let error = #expect(throws: SSHError.self) { try bench.hear(message) }
        #expect(error?.kind == .protocolViolation)
    }

    // MARK: Algorithms

    private static let rsaKey = Script.string("ssh-rsa") + Script.string([1, 0, 1]) + Script.string([1])
    private static let certificate = "-cert-v01@openssh.com"

    @Test(
        arguments: [
            ("ssh-rsa", nil, nil, "rsa-sha2-512"), ("ssh-rsa", nil, "rsa-sha2-256,rsa-sha2-512", "rsa-sha2-512"),
            ("ssh-rsa", nil, "ssh-rsa,rsa-sha2-256", "rsa-sha2-256"),
            ("ssh-rsa", "rsa-sha2-256,rsa-sha2-512", "rsa-sha2-512,rsa-sha2-256", "rsa-sha2-256"),
            ("ssh-rsa-cert-v01@openssh.com", nil, "rsa-sha2-256", "rsa-sha2-256-cert-v01@openssh.com"),
            ("ssh-rsa-cert-v01@openssh.com", nil, nil, "rsa-sha2-512-cert-v01@openssh.com"),
            ("ssh-ed25519", nil, "rsa-sha2-512", "ssh-ed25519"), ("ssh-ed25519", nil, "", "ssh-ed25519"),
            ("ecdsa-sha2-nistp521", nil, nil, "ecdsa-sha2-nistp521"),
            ("sk-ssh-ed25519@openssh.com", nil, nil, "sk-ssh-ed25519@openssh.com"),
            ("ssh-ed25519-cert-v01@openssh.com", nil, nil, "ssh-ed25519-cert-v01@openssh.com"),
        ] as [(String, String?, String?, String)])
    func theAlgorithmIsOneThatBothTake(_ type: String, _ accepted: String?, _ server: String?, _ wanted: String) {
        let choice = SignatureAlgorithm.choose(
            keyType: type, accepted: accepted.map(names) ?? SignatureAlgorithm.all, server: server.map(names))
        #expect(choice == .name(wanted))
    }

    @Test(
        arguments: [
            (
                "ssh-rsa", "rsa-sha2-512", "rsa-sha2-256,ssh-rsa",
                "the server takes no RSA signature with rsa-sha2-512; an Ed25519 key would do"
            ),
            (
                "ssh-rsa", nil, "ssh-rsa",
                "the server takes no RSA signature with rsa-sha2-512 or rsa-sha2-256; an Ed25519 key would do"
            ),
            (
                "ssh-rsa", "ssh-rsa,ssh-ed25519", nil,
                "PubkeyAcceptedAlgorithms leaves out rsa-sha2-512 and rsa-sha2-256"
            ),
            ("ssh-ed25519", "rsa-sha2-512", nil, "PubkeyAcceptedAlgorithms leaves out ssh-ed25519"),
            ("ssh-dss", nil, nil, "PubkeyAcceptedAlgorithms leaves out ssh-dss"),
        ] as [(String, String?, String?, String)])
    func noAlgorithmIsSaidSo(_ type: String, _ accepted: String?, _ server: String?, _ words: String) {
        let choice = SignatureAlgorithm.choose(
            keyType: type, accepted: accepted.map(names) ?? SignatureAlgorithm.all, server: server.map(names))
        #expect(choice == .refused(words))
    }

    private func names(_ list: String) -> [String] { list.split(separator: ",").map(String.init) }

    @Test func whatTheServerSaysOfAlgorithmsMayComeLate() throws {
        let authority = ScriptedAuthority([signer(Self.rsaKey)])
        let bench = LoginBench(authority)
        _ = try bench.begin()
        bench.client.serverSignatureAlgorithms = ["rsa-sha2-256"]
        #expect(try bench.hear(Script.failure("publickey")) == Script.probe("rsa-sha2-256", Self.rsaKey))
    }

    @Test(arguments: [
        ("ssh-ed25519", "ssh-ed25519"), ("rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-512"),
        ("sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com"),
        ("ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256"),
    ])
    func aCertificateSignsUnderThePlainName(_ algorithm: String, _ name: String) {
        #expect(SignatureAlgorithm.signatureName(algorithm) == name)
    }

    // MARK: keyboard-interactive

    @Test func roundsOfQuestions() throws {
        let authority = ScriptedAuthority([.keyboardInteractive], answers: [["one", ""], [], ["zwei"]])
        let (bench, said) = try LoginBench.afterNone(authority)
        #expect(said == Script.interactive)
        _ = authority.takeEvents()
        #expect(
            try bench.hear(Script.infoRequest("PAM", "do\u{7}", [("Password: ", false), ("Code: ", true)]))
                == Script.infoResponse(["one", ""]))
        #expect(try bench.hear(Script.infoRequest("", "", [])) == Script.infoResponse([]))
        #expect(try bench.hear(Script.infoRequest("", "", [("?", true)])) == Script.infoResponse(["zwei"]))
        #expect(authority.takeEvents() == ["asked PAM/do\\u{7}/Password: /Code: +", "asked /", "asked //?+"])
        _ = try bench.hear(Script.success)
        #expect(bench.isLoggedIn)
    }

    @Test func aUserWhoGivesUpIsAskedNoMore() throws {
        let authority = ScriptedAuthority([.keyboardInteractive, password], answers: [nil])
        let (bench, _) = try LoginBench.afterNone(authority)
        _ = authority.takeEvents()
        #expect(try bench.hear(Script.infoRequest("", "", [("?", true)])) == Script.password("open sesame"))
        #expect(authority.takeEvents().suffix(2) == ["refused -", "next publickey,password,keyboard-interactive"])
        // From here on the questions are out of place.
        #expect(throws: SSHError.self) { try bench.hear(Script.infoRequest("", "", [("?", true)])) }
    }

    @Test func answersLongerThanAPacketAreNotSent() throws {
        let long = String(repeating: "x", count: 33_000)
        let authority = ScriptedAuthority([.keyboardInteractive, password], answers: [[long]])
        let (bench, _) = try LoginBench.afterNone(authority)
        _ = authority.takeEvents()
        #expect(try bench.hear(Script.infoRequest("", "", [("?", true)])) == Script.password("open sesame"))
        #expect(authority.takeEvents()[1] == "refused longer than a packet")
    }

    // MARK: Several steps

    @Test func aPartialSuccessGoesOn() throws {
        let authority = ScriptedAuthority([signer(), password, .keyboardInteractive], answers: [["x"]])
        let (bench, _) = try LoginBench.afterNone(authority, methods: "publickey")
        _ = try bench.hear(Script.publicKeyOK("ssh-ed25519", Self.key))
        _ = authority.takeEvents()
        #expect(try bench.hear(Script.failure("password", partial: true)) == Script.password("open sesame"))
        #expect(authority.takeEvents() == ["next password partial"])
        #expect(try bench.hear(Script.failure("keyboard-interactive", partial: true)) == Script.interactive)
        _ = try bench.hear(Script.infoRequest("", "", [("?", false)]))
        _ = authority.takeEvents()
        denied("Permission denied (publickey)") { try bench.hear(Script.failure("publickey")) }
        #expect(authority.takeEvents() == ["refused -", "next publickey"])
    }
}
