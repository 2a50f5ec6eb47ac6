import CulvertPlan
import Foundation
import Testing

@testable import CulvertConfig

/// Files in memory, by their paths; `ran` collects the commands of `Match exec`.
struct MemoryFiles: Sendable {
    final class Commands: @unchecked Sendable {
        private let lock = NSLock()
        private var all: [String] = []
        var list: [String] { lock.withLock { all } }
        func add(_ command: String) { lock.withLock { all.append(command) } }
    }

    var files: [String: ConfigurationAccess.File] = [:]
    let ran = Commands()

    init(_ texts: [String: String], owner: UInt32 = 1000, mode: UInt32 = 0o600) {
        for (path, text) in texts {
            files[path] = ConfigurationAccess.File(bytes: Array(text.utf8), owner: owner, mode: mode)
        }
    }

    /// A command succeeds when it begins with "yes".
    var access: ConfigurationAccess {
        let (files, ran) = (files, ran)
        return ConfigurationAccess(
            read: { path in
                if path.hasSuffix("locked") { return .failure(.unreadable("Permission denied")) }
                return files[path].map { .success($0) } ?? .failure(.missing)
            },
            paths: { pattern in
                files.keys.filter { Wildcard.matches($0, pattern: pattern) }.sorted()
            },
            execute: { command, _ in
                ran.add(command)
                return command.hasPrefix("yes") ? 0 : command.hasPrefix("broken") ? nil : 1
            })
    }
}

@Suite struct FileTests {
    static let user = "/home/ann/.ssh/config"
    static let system = "/etc/ssh/ssh_config"

    static func tunnel(_ files: MemoryFiles, _ line: String) throws -> TunnelConfiguration {
        let words = line.split(separator: " ").map(String.init)
        guard
            case .tunnel(let tunnel) = try parseCommandLine(words, environment: testEnvironment, access: files.access)
        else { throw NotATunnel() }
        return tunnel
    }

    static func fault(_ files: MemoryFiles, _ line: String = "-L1:a:2 host") -> String? {
        do {
            _ = try tunnel(files, line)
            return nil
        } catch {
            return (error as? ConfigurationError)?.message
        }
    }

    @Test func aHostIsAllThatIsTyped() throws {
        let files = MemoryFiles([
            Self.user: """
            Host prod
              HostName db.example.org
              User deploy
              Port 2222
              IdentityFile ~/.ssh/id_%h
              LocalForward 5432 localhost:5432
              RemoteForward 8022 localhost:22
              ExitOnForwardFailure yes
              ServerAliveCountMax 7
            """
        ])
        let tunnel = try Self.tunnel(files, "prod")
        #expect(
            tunnel.destination
                == Destination(host: "db.example.org", typedHost: "prod", port: 2222, user: "deploy"))
        #expect(tunnel.login.identityFiles == .listed(["/home/ann/.ssh/id_db.example.org"]))
        #expect(tunnel.forwards.map(\.text) == ["5432:localhost:5432", "8022:localhost:22"])
        #expect(tunnel.forwarding.exitOnForwardFailure && tunnel.connection.serverAliveCountMax == 7)
        // culvert's own default stays where nothing is said.
        #expect(tunnel.connection.serverAliveInterval == .seconds(15))
        let typed = try Self.tunnel(files, "-p 22 -L 1:a:2 bob@prod")
        #expect(typed.destination.port == 22 && typed.destination.user == "bob")
        #expect(typed.forwards.map(\.text) == ["1:a:2", "5432:localhost:5432", "8022:localhost:22"])
    }

    /// Files are shared with other programs, some of them newer; what nobody knows is a mistake, as in ssh.
    @Test func aFileMayNameAlgorithmsOfAnotherSSH() throws {
        let files = MemoryFiles([
            Self.user: "KexAlgorithms mlkem768nistp256-sha256,gss-group14-sha256-,curve25519-sha256\n"
        ])
        let algorithms = try Self.tunnel(files, "-L1:a:2 host").algorithms
        #expect(algorithms.keyExchanges?.names.last == "curve25519-sha256")
        let typed = try Self.tunnel(files, "-L1:a:2 -oKexAlgorithms=gss-group14-sha256- host").algorithms
        #expect(typed.keyExchanges?.names == ["gss-group14-sha256-"])
        #expect(throws: ConfigurationError.self) {
            try Self.tunnel(MemoryFiles([Self.user: "KexAlgorithms x,curve25519-sha256\n"]), "-L1:a:2 host")
        }
    }

    @Test func theUsersFileOutranksTheSystems() throws {
        let files = MemoryFiles([
            Self.user: "Port 1\nInclude sub/x\n", "/home/ann/.ssh/sub/x": "User ann-of-x\n",
            Self.system: "Port 2\nHashKnownHosts yes\nInclude conf.d/*.conf\n",
            "/etc/ssh/conf.d/a.conf": "HostName z\n",
        ])
        let tunnel = try Self.tunnel(files, "-L1:a:2 host")
        #expect(tunnel.destination == Destination(host: "z", typedHost: "host", port: 1, user: "ann-of-x"))
        #expect(tunnel.hostKeys.hashKnownHosts)
        let none = try Self.tunnel(files, "-F none -L1:a:2 host")
        #expect(none.destination.port == 22 && !none.hostKeys.hashKnownHosts && none.files == .none)
        #expect(try Self.tunnel(files, "-F \(Self.system) -L1:a:2 host").destination.port == 2)
    }

    @Test func culvertsOwnSettings() throws {
        let files = MemoryFiles([
            Self.user: """
            IgnoreUnknown Culvert*
            CulvertLinks 4
            culverthold 5s
            CulvertDrain 1m
            CulvertEngine libssh2
            CulvertIO epoll
            CulvertMemory 64M
            CulvertPersist yes
            CulvertThreads 2
            CulvertLinks 5
            """
        ])
        let tunnel = try Self.tunnel(files, "-L1:a:2 host")
        #expect(tunnel.links == 4 && tunnel.hold == .seconds(5) && tunnel.engine == .libssh2 && tunnel.persist)
        #expect(tunnel.runtime == RuntimeOptions(io: .epoll, threads: 2, memory: 64 << 20))
        #expect(tunnel.drain == .seconds(60))
        #expect(tunnel.notes.isEmpty)
        #expect(try Self.tunnel(files, "--links 2 --io auto -L1:a:2 host").links == 2)
    }

    static let faults: [(String, String)] = [
        ("# fine\nProt 1\n", "line 2: Prot: unknown key: did you mean Port?"),
        ("Nonsense 1\n", "line 1: Nonsense: unknown key: leave it out, or name it in IgnoreUnknown"),
        (
            "\nCiphers aes256-gcm@openssh.com,aes128-gmc@openssh.com\n",
            "line 2: Ciphers: Bad SSH2 cipher spec 'aes256-gcm@openssh.com,aes128-gmc@openssh.com': no cipher is called"
                + " 'aes128-gmc@openssh.com': did you mean aes128-gcm@openssh.com?"
        ),
        (
            "KexAlgorithms +curve22519-sha256\n",
            "line 1: KexAlgorithms: Bad SSH2 KexAlgorithms '+curve22519-sha256': no key exchange is called 'curve22519-sha256':"
                + " did you mean curve25519-sha256?"
        ),
        (
            "HostKeyAlgorithms ssh-ed25518\n",
            "line 1: HostKeyAlgorithms: Bad key types 'ssh-ed25518': no algorithm is called 'ssh-ed25518':"
                + " did you mean ssh-ed25519?"
        ),
        (
            "PubkeyAcceptedKeyTypes ^ssh-ed25591\n",
            "line 1: PubkeyAcceptedKeyTypes: Bad key types '^ssh-ed25591': no algorithm is called 'ssh-ed25591':"
                + " did you mean ssh-ed25519?"
        ),
        ("Host x\n  Port 0x1\n", "line 2: Port 0x1: not a port: give a number from 1 to 65535"),
        ("User\n", "line 1: User: no value: give User value"), ("User 'a\n", "line 1: User 'a: a quote is not closed"),
        ("LocalForward 1\n", "line 1: -L 1: no target: give [bind_address:]port:host:hostport"),
        ("LocalForward ${NO}:1 a:2\n", "line 1: ${NO}:1:a:2: the environment has no variable NO"),
        ("Match hosts a\n", "line 1: Match: unknown criterion 'hosts': did you mean host?"),
        ("Match\n", "line 1: Match: no value"), ("Match user\n", "line 1: Match: 'user' needs a value"),
        ("Match all user a\n", "line 1: Match: 'all' stands alone, or behind canonical or final"),
        ("Match exec broken\n", "line 1: Match: exec 'broken' could not be run to its end by /bin/sh"),
        ("Match exec %T\n", "line 1: Match: exec %T: unknown token after '%': write %% for the sign itself"),
        ("Host a \"\"\n", "line 1: Host: an empty word"),
        ("Port 1\nUser a\0b\n", "line 2: a zero byte: not a text file"),
        ("ProxyJump a,,b\n", "line 1: ProxyJump a,,b: '' is no jump host: give [user@]host[:port]"),
        ("CulvertLinks 0\n", "line 1: CulvertLinks 0: give a number from 1 to 64"),
        ("Include ~bob/x\n", "line 1: Include ~bob/x: there is no user bob here"),
        (
            "RefuseConnection \"gone for good\"\n",
            "line 1: RefuseConnection: gone for good"
        ),
        ("Include locked\n", "line 1: Include: /home/ann/.ssh/locked: Permission denied"),
    ]

    @Test(arguments: faults) func everyFaultHasItsPlace(_ text: String, _ message: String) {
        var files = MemoryFiles([Self.user: text])
        files.files["/home/ann/.ssh/locked"] = ConfigurationAccess.File(bytes: [], owner: 1000, mode: 0o600)
        #expect(Self.fault(files) == "\(Self.user) \(message)")
    }

    @Test func aFaultOfAnIncludedFileIsToldWithItsOwnPlace() {
        let files = MemoryFiles([Self.user: "Host x\nInclude inner\n", "/home/ann/.ssh/inner": "\nPort none\n"])
        #expect(
            Self.fault(files)
                == "/home/ann/.ssh/inner line 2: Port none: not a port: give a number from 1 to 65535")
        let itself = MemoryFiles([Self.user: "Include config\n"])
        #expect(
            Self.fault(itself)
                == "\(Self.user) line 1: Include: \(Self.user): included 17 deep: does it include itself?")
        #expect(Self.fault(MemoryFiles([:]), "-F /no/file -L1:a:2 host") == "/no/file: no such file")
        #expect(
            Self.fault(MemoryFiles([Self.system: "Include ~/x\n"]))
                == "\(Self.system) line 1: Include ~/x: '~' means nothing in a file of the system")
    }

    @Test(
        arguments: [
            (1000, 0o600, nil), (0, 0o644, nil), (1000, 0o644, nil),
            (1001, 0o600, "it belongs to another user: make it yours"),
            (1000, 0o620, "others may write to it: chmod go-w \(user)"),
            (0, 0o602, "others may write to it: chmod go-w \(user)"),
        ] as [(UInt32, UInt32, String?)])
    func whoMayWrite(_ owner: UInt32, _ mode: UInt32, _ cause: String?) {
        let files = MemoryFiles([Self.user: "Port 1\n"], owner: owner, mode: mode)
        #expect(Self.fault(files) == cause.map { "\(Self.user): \($0)" })
        // Given by hand, it may be anybody's; what it includes may not.
        #expect(Self.fault(files, "-F \(Self.user) -L1:a:2 host") == nil)
        var outer = MemoryFiles(["/f": "Include \(Self.user)\n"])
        outer.files[Self.user] = files.files[Self.user]
        #expect(Self.fault(outer, "-F /f -L1:a:2 host") == cause.map { "/f line 1: Include: \(Self.user): \($0)" })
    }

    @Test func whatCannotBeReadIsNoted() throws {
        var files = MemoryFiles([Self.system: "Port 3\n"])
        files.files[Self.user] = nil
        #expect(try Self.tunnel(files, "-L1:a:2 host").destination.port == 3)
        let environment = ConfigurationEnvironment(
            variables: [:], homeDirectory: "/home/ann", userName: "ann", userID: 1000, hostName: "box")
        let access = ConfigurationAccess(
            read: { $0 == Self.user ? .failure(.unreadable("Permission denied")) : .failure(.missing) },
            paths: { _ in [] }, execute: { _, _ in nil })
        guard
            case .tunnel(let tunnel) = try parseCommandLine(
                ["-L1:a:2", "host"], environment: environment, access: access)
        else { throw NotATunnel() }
        #expect(tunnel.notes == ["\(Self.user): Permission denied: ignored"])
    }

    @Test func execRunsOnlyWhereItMatters() throws {
        let files = MemoryFiles([
            Self.user: """
            Match host other exec "yes 1"
              Port 1
            Match exec "no 2" exec "yes 3"
              Port 2
            Match host host exec "yes %h %p %r %n"
              Port 4
            """
        ])
        #expect(try Self.tunnel(files, "-L1:a:2 bob@host").destination.port == 4)
        #expect(files.ran.list == ["no 2", "yes host 22 bob host"])
    }

    /// A user's name comes from links and scripts too; hosts' names have no such characters.
    @Test func aUsersNameIsNoCommand() throws {
        let files = MemoryFiles([Self.user: "Match exec \"yes %r\"\n  Port 4\n"])
        #expect(
            Self.fault(files, "-L1:a:2 -l $x host")
                == "\(Self.user) line 1: Match: exec 'yes %r': the user's name '$x' has characters that a shell reads"
        )
        #expect(files.ran.list == [])
        let plain = MemoryFiles([Self.user: "Match exec \"yes %%r %h\"\n  Port 4\n"])
        #expect(try Self.tunnel(plain, "-L1:a:2 -l $x host").destination.port == 4)
    }

    /// Nor do they come as the alias of a host key.
    @Test func aHostKeyAliasIsNoCommand() throws {
        let files = MemoryFiles([Self.user: "HostKeyAlias $x\nMatch exec \"yes %k\"\n  Port 4\n"])
        #expect(
            Self.fault(files, "-L1:a:2 host")
                == "\(Self.user) line 2: Match: exec 'yes %k': the HostKeyAlias '$x' has characters that a shell reads"
        )
        #expect(files.ran.list == [])
        let plain = MemoryFiles([Self.user: "HostKeyAlias $(x)\nMatch exec \"yes %%k %h\"\n  Port 4\n"])
        #expect(try Self.tunnel(plain, "-L1:a:2 host").destination.port == 4)
    }

    @Test func whatHasNoEffectIsNotedWhereItApplies() throws {
        let files = MemoryFiles([
            Self.user:
                "Host other\nForwardAgent yes\nRefuseConnection no\nHost *\nForwardX11 yes\nForwardAgent no\nProtocol 2\n"
        ])
        #expect(
            try Self.tunnel(files, "-L1:a:2 host").notes == [
                "\(Self.user) line 5: ForwardX11 has no effect here: ignored",
                "\(Self.user) line 7: Protocol is out of use: ignored",
            ])
    }

    /// A list was written for programs that know more: what the engine has not falls out, wherever it was given.
    @Test func listsLoseWhatTheEngineHasNot() throws {
        func options(_ text: String, _ words: [String] = []) throws -> (AlgorithmOptions, [String]) {
            var access = MemoryFiles([Self.user: text]).access
            access.algorithms = { _ in
                var engine = EngineAlgorithms()
                engine.ciphers = ["aes128-gcm@openssh.com", "aes256-ctr"]
                engine.macs = ["hmac-sha2-256"]
                engine.hostKeys = ["ssh-ed25519"]
                return engine
            }
            let invocation = try parseCommandLine(
                words + ["-L1:a:2", "host"], environment: testEnvironment, access: access)
            guard case .tunnel(let tunnel) = invocation else { throw NotATunnel() }
            return (tunnel.algorithms, tunnel.notes)
        }
        let (some, notes) = try options("Ciphers aes128-cbc,aes256-ctr,3des-cbc\nHostKeyAlgorithms +ssh-dss\n")
        #expect(some.ciphers?.names == ["aes256-ctr"] && some.hostKeys == nil)
        #expect(
            notes == [
                "Ciphers: the engine has no aes128-cbc,3des-cbc: left out",
                "HostKeyAlgorithms: the engine has no ssh-dss: left out",
            ])
        #expect(try options("Ciphers aes128-cbc,3des-cbc\n").0.ciphers?.names == ["aes128-cbc", "3des-cbc"])
        // What is taken away need not exist.
        #expect(try options("Ciphers -x\n").0.ciphers?.names == ["x"])
        // An engine that can do nothing with it names the line.
        #expect(try options("\nCiphers aes128-cbc\n").0.ciphers?.place.hasSuffix(" line 2: ") == true)
        let (typed, said) = try options("", ["-c", "3des-cbc,aes256-ctr", "-oHostKeyAlgorithms=+ssh-rsa"])
        #expect(typed.ciphers?.names == ["aes256-ctr"] && typed.hostKeys == nil)
        #expect(
            said == [
                "Ciphers: the engine has no 3des-cbc: left out",
                "HostKeyAlgorithms: the engine has no ssh-rsa: left out",
            ])
        // Without a MAC only what needs none is offered; where that is nothing the engine says so.
        for list in ["hmac-sha1", "-*"] {
            let (alone, words) = try options("", ["-oMACs=\(list)"])
            #expect(alone.macs == nil && alone.ciphers?.names == ["aes128-gcm@openssh.com"])
            #expect(words.last == "MACs: the engine has none of \(list): only ciphers that need no MAC are used")
        }
        let sealed = try options("", ["-m", "hmac-sha1", "-c", "aes128-gcm@openssh.com"]).0
        #expect(sealed.macs == nil && sealed.ciphers?.names == ["aes128-gcm@openssh.com"])
        let both = try options("", ["-m", "hmac-sha1", "-c", "aes256-ctr"]).0
        #expect(both.macs?.names == ["hmac-sha1"] && both.ciphers?.names == ["aes256-ctr"])
    }

    @Test func aHopHasItsOwnSettings() throws {
        let files = MemoryFiles([
            Self.user: "Host gate\nHostName gate.example.org\nPort 2200\nIdentityFile ~/gate\nHost *\nUser all\n"
        ])
        let hop = try resolveHost("gate", files: .usual, environment: testEnvironment, access: files.access)
        #expect(
            hop.server.destination == Destination(host: "gate.example.org", typedHost: "gate", port: 2200, user: "all"))
        #expect(hop.server.login.identityFiles == .listed(["/home/ann/gate"]) && hop.forwards.isEmpty)
        let named = try resolveHost(
            "gate", user: "me", port: 1, files: .usual, environment: testEnvironment, access: files.access)
        #expect(named.server.destination.user == "me" && named.server.destination.port == 1)
    }

    @Test func theSystemIsAsked() throws {
        let directory = FileManager.default.temporaryDirectory.path + "/culvert-files-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        for name in ["b", "a", "c.x"] {
            try Data("Port 1\n".utf8).write(to: URL(fileURLWithPath: "\(directory)/\(name)"))
        }
        chmod("\(directory)/a", 0o640)
        #expect(SystemFiles.paths("\(directory)/?") == ["\(directory)/a", "\(directory)/b"])
        #expect(SystemFiles.paths("\(directory)/none*") == [])
        let file = try SystemFiles.read("\(directory)/a").get()
        #expect(file.bytes == Array("Port 1\n".utf8) && file.owner == getuid() && file.mode == 0o640)
        #expect(SystemFiles.read("\(directory)/none") == .failure(.missing))
        #expect(SystemFiles.read(directory) == .failure(.directory))
        #expect(SystemFiles.read("/dev/zero") == .failure(.tooLong(limit: SystemFiles.maximumLength)))
        #expect(SystemFiles.execute("exit 3", shell: "/bin/sh") == 3)
        #expect(SystemFiles.execute("read line && exit 1; echo shown; exit 0", shell: "/bin/sh") == 0)
        #expect(SystemFiles.execute("kill -9 $$", shell: "/bin/sh") == nil)
        #expect(SystemFiles.execute("true", shell: "\(directory)/none") == nil)
    }
}
