import Testing

@testable import CulvertConfig

/// Files of `culvert up`.
@Suite struct TunnelFileTests {
    private static func read(_ text: String, only: [String] = [], options: [String] = []) throws -> [TunnelFile.Entry] {
        try TunnelFile(
            text, path: "t.toml", only: only, options: options, environment: testEnvironment, access: .nothing
        ).tunnels
    }

    /// The line for a file that is wrong; nil, which no expectation equals, when it is right.
    private static func fault(_ text: String, only: [String] = []) -> String? {
        do {
            _ = try TunnelFile(text, path: "t.toml", only: only, environment: testEnvironment, access: .nothing)
            return nil
        } catch {
            return error.message
        }
    }

    @Test("a tunnel is the command line that says the same, with --persist")
    func sameAsCommandLine() throws {
        let entries = try Self.read(
            """
            [tunnel.db]
            destination = "ops@bastion"
            local = ["5432:db:5432", "127.0.0.1:6379:cache:6379"]
            remote = "8822:localhost:22"
            links = 4
            hold = "1m"
            drain = 9
            engine = "libssh2"
            Port = 2222
            IdentitiesOnly = true
            IdentityFile = ["~/.ssh/a", "~/.ssh/b"]
            """)
        let expected = try tunnel([
            "--persist", "-L", "5432:db:5432", "-L", "127.0.0.1:6379:cache:6379", "-R", "8822:localhost:22", "--links",
            "4",
            "--hold", "1m", "--drain", "9", "--engine", "libssh2", "-p", "2222", "-o", "IdentitiesOnly=yes", "-i",
            "~/.ssh/a", "-i",
            "~/.ssh/b", "ops@bastion",
        ])
        #expect(entries.map(\.name) == ["db"])
        #expect(entries[0].configuration == expected)
        #expect(expected.persist)
    }

    @Test("one that is read alone is not held up by what others say, nor by their mistakes")
    func alone() throws {
        let text = """
            [tunnel.one]
            destination = "a"
            local = "1:a:1"
            [tunnel.two]
            destination = "b"
            local = "many:b:2"
            """
        #expect(Self.fault(text) != nil)
        let entries = try TunnelFile(
            text, path: "t.toml", alone: "one", environment: testEnvironment, access: .nothing
        ).tunnels
        #expect(entries.map(\.name) == ["one"] && entries[0].configuration.plan.server.destination.host == "a")
        let nobody = try TunnelFile(
            text, path: "t.toml", alone: "three", environment: testEnvironment, access: .nothing
        ).tunnels
        #expect(nobody.isEmpty)
    }

    @Test("defaults count where a tunnel says nothing, whatever the case of the key; options count before both")
    func defaults() throws {
        let text = """
            [defaults]
            ServerAliveInterval = 5
            local = "1:a:1"
            links = 2
            [tunnel.one]
            destination = "a"
            serveraliveinterval = 7
            [tunnel.two]
            destination = "b"
            local = "2:b:2"
            """
        let entries = try Self.read(text)
        #expect(entries.map(\.configuration.connection.serverAliveInterval) == [.seconds(7), .seconds(5)])
        #expect(entries.map { $0.configuration.forwards.map(\.text) } == [["1:a:1"], ["2:b:2"]])
        #expect(entries.allSatisfy { $0.configuration.links == 2 })
        #expect(try Self.read(text, options: ["-v"]).allSatisfy { $0.configuration.output.verbosity == .debug1 })
    }

    @Test("tunnels come in the order of the file, and only those named when some are")
    func order() throws {
        let text = """
            tunnel.zebra = { destination = "z", local = "1:a:1" }
            [tunnel."a b"]
            destination = "x"
            local = "2:a:1"
            [tunnel.monkey]
            destination = "m"
            local = "3:a:1"
            """
        #expect(try Self.read(text).map(\.name) == ["zebra", "a b", "monkey"])
        #expect(try Self.read(text, only: ["monkey", "zebra"]).map(\.name) == ["zebra", "monkey"])
    }

    @Test(
        "what is wrong is told with its line and column",
        arguments: [
            ("[tunnel.db]\ndestination = \"x\"\nlocal = \"5432:db\"\n", "t.toml line 3, column 1: -L 5432:db: "),
            (
                "[tunnel.db]\ndestination = \"x\"\nlocal = [\n  \"1:a:2\", # fine\n  \"99999:db:1\",\n]\n",
                "line 5, column 3: -L"
            ),
            (
                "[tunnel.db]\ndestination = \"x\"\n  lokal = \"1:a:2\"\n",
                "line 3, column 3: lokal: unknown key: did you mean local?"
            ),
            ("[tunel.db]\ndestination = \"x\"\n", "line 1, column 1: tunel: unknown: did you mean tunnel?"),
            ("\n[tunnel.db]\nlocal = \"1:a:2\"\n", "line 2, column 1: db has no destination"),
            ("[tunnel.db]\ndestination = \"x\"\n", "line 1, column 1: nothing to forward"),
            (
                "[tunnel.db]\ndestination = \"x\"\nlinks = \"many\"\nlocal = \"1:a:1\"\n",
                "line 3, column 1: --links many: give a number"
            ),
            (
                "[tunnel.db]\ndestination = \"x\"\nlinks = 1.5\n",
                "line 3, column 1: a floating-point number: give a string"
            ),
            ("[tunnel.db]\ndestination = \"u@\"\nlocal = \"1:a:1\"\n", "line 2, column 1: "),
            ("[tunnel.db]\ndestination = [\"a\", \"b\"]\n", "line 2, column 21: a second destination"),
            (
                "[defaults]\nPort = 0\n[tunnel.db]\ndestination = \"x\"\nlocal = \"1:a:1\"\n",
                "line 2, column 1: -o Port"
            ),
            ("[tunnel.db\n", "t.toml line 1, column"),
            ("[ä]\n", "line 1, column 2: a table's name begins with a letter"),
            ("x = \"\"\"\n[.b]\n\"\"\"\n[[ .a]]\n", "line 4, column 4: a table's name begins with a letter"),
            ("\u{FEFF}[\n", "line 1, column 2: a table's name begins with a letter"),
            ("[]\n", "line 1, column"),
            ("x = [1}\n", "line 1, column 7: } in an array: close it with ] first"),
            ("x = [[}]\n", "line 1, column 7: } in an array: close it with ] first"),
            ("x = [1, \u{2028}2]\n", "line 1, column 9: a line break that TOML does not know"),
            ("x = [{ y = [\u{85}] }]\n", "line 1, column 13: a line break that TOML does not know"),
            ("x = 2024-01-01 1\n", "line 1, column 5: a date, a time or a fraction means nothing here"),
            ("x = [{ 1-y = 2024-01-01t}]\n", "line 1, column 14: a date, a time or a fraction means nothing here"),
            ("x = [1, # c\n 1:]\n", "line 2, column 2: a date, a time or a fraction means nothing here"),
            ("x = { 1-y = 5, 2-y = [\"3-4\"], 5:6 }\n", "line 1, column"),
            ("x = \(Array(repeating: "a", count: 70).joined(separator: ".")) = 1\n", "line 1, column"),
            ("\(Array(repeating: "a", count: 70).joined(separator: ".")) = 1\n", "line 1, column 1: a key of 70 parts"),
            ("x = { y = [ # }\n } ]\n", "line 2, column 2: } in an array: close it with ] first"),
            ("x = \(String(repeating: "[", count: 100_000))\n", "line 1, column"),
            ("tunnel = 5\n", "line 1, column 1: tunnel is no table: a tunnel stands in [tunnel.NAME]"),
            ("", "line 1, column 1: no tunnel"),
            (
                "[defaults]\nport-file = \"/p\"\n[tunnel.a]\ndestination = \"x\"\nlocal = \"0:a:1\"\n"
                    + "[tunnel.b]\ndestination = \"y\"\nlocal = \"0:a:1\"\n",
                "line 2, column 1: port-file: b would overwrite what a writes to /p: give each its own"
            ),
            ("[tunnel.db]\nnote = '''\n[tunnel.x]\n'''\n", "line 2, column 1: note: unknown key"),
        ])
    func places(_ text: String, _ words: String) throws {
        let said = try #require(Self.fault(text))
        #expect(said.contains(words))
        #expect(!said.contains("\n"))
    }

    @Test("a name that is not there is told with the nearest")
    func unknownName() {
        let text = "[tunnel.db]\ndestination = \"x\"\nlocal = \"1:a:1\"\n"
        #expect(Self.fault(text, only: ["dbb"]) == "t.toml: no tunnel is called dbb: did you mean db?")
        #expect(Self.fault(text, only: ["web"]) == "t.toml: no tunnel is called web: there is db")
    }

    private static func two(_ one: String, _ other: String) -> String {
        """
        [tunnel.a]
        destination = "x"
        \(one)
        [tunnel.b]
        destination = "y"
        \(other)
        """
    }

    @Test(
        "two forwards that would listen at one place are told, with both places",
        arguments: [
            (
                two("local = \"5432:db:1\"", "links = 2\nlocal = [\"1:a:1\",\n  \"5432:c:2\"]"),
                "t.toml line 8, column 3: -L 5432:c:2 listens where -L 5432:db:1 of a at line 3, column 1 does:"
                    + " only one of them can"
            ),
            (
                two("local = [\"1:a:1\", \"localhost:1:a:2\"]", "local = \"2:a:1\""),
                "t.toml line 3, column 19: -L localhost:1:a:2 listens where -L 1:a:1 at line 3, column 10 does:"
                    + " only one of them can"
            ),
            (
                two("local = \"*:7:a:1\"", "dynamic = \"127.0.0.1:7\""),
                "line 6, column 1: -D 127.0.0.1:7 listens where -L *:7:a:1 of a at line 3"
            ),
            (two("local = \"7:a:1\"", "GatewayPorts = true\ndynamic = 7"), "line 7, column 1: -D 7 listens where"),
            (two("local = \"[::1]:7:a:1\"", "LocalForward = \"7 b:1\""), "line 6, column 1: -L 7:b:1 listens where"),
            (two("local = \"0.0.0.0:7:a:1\"", "local = \"10.0.0.1:7:b:1\""), "line 6, column 1: -L 10.0.0.1:7:b:1"),
            (two("local = \"/s/a:b:1\"", "local = \"/s/a:c:1\""), "line 6, column 1: -L /s/a:c:1 listens where"),
            (
                two("remote = \"7:a:1\"\nHostName = \"z\"", "HostName = \"z\"\nremote = \"7:b:1\""),
                "line 8, column 1: -R 7:b:1 listens where -R 7:a:1 of a at line 3, column 1 does"
            ),
            (
                "[defaults]\nlocal = \"7:a:1\"\n" + two("links = 1", "links = 1"),
                "line 2, column 1: -L 7:a:1 listens where -L 7:a:1 of a at line 2, column 1 does"
            ),
        ])
    func clashes(_ text: String, _ words: String) throws {
        let said = try #require(Self.fault(text))
        #expect(said.contains(words), "\(said)")
    }

    @Test(
        "forwards that get along are left alone",
        arguments: [
            ("local = \"7:a:1\"", "remote = \"7:a:1\""), ("remote = \"7:a:1\"", "remote = \"7:a:1\""),
            ("local = \"127.0.0.2:7:a:1\"", "local = \"7:a:1\""),
            ("local = \"10.0.0.1:7:a:1\"", "local = \"10.0.0.2:7:a:1\""),
            ("remote = \"0:a:1\"\nHostName = \"z\"", "remote = \"0:b:1\"\nHostName = \"z\""),
            ("local = \"/s/a:b:1\"", "local = \"/s/b:c:1\""),
            (
                "remote = \"7:a:1\"\nHostName = \"z\"\nProxyJump = \"u@one\"",
                "remote = \"7:a:1\"\nHostName = \"z\"\nProxyJump = \"u@two\""
            ),
            (
                "remote = \"7:a:1\"\nHostName = \"z\"\nProxyCommand = \"one\"",
                "remote = \"7:a:1\"\nHostName = \"z\"\nProxyCommand = \"two\""
            ),
            ("local = \"7:a:1\"\nAddressFamily = \"inet\"", "local = \"7:a:1\"\nAddressFamily = \"inet6\""),
            ("local = \"*:7:a:1\"\nAddressFamily = \"inet\"", "local = \"[::1]:7:a:1\""),
        ])
    func noClash(_ one: String, _ other: String) throws {
        #expect(try Self.read(Self.two(one, other)).count == 2)
    }

    @Test("keys and elements are found through comments, strings of every kind, nested arrays and inline tables")
    func positions() {
        let positions = TOMLPositions(
            """
            # [no.table]
            a = "# \\" ] x = 1"  # y = 2
            'b c'.d = [ [1, 2], { e = "]" }, # ,
              '''
            f = 3
            ''''' , 5 ]
            \tg = 4
            [h."i.j"] # k
            l = \"\"\"
            m = 1 \\\"\"\" \"\"\"
            n = { o = 1, p."q, [" = 2 }
            r = 5
            """)
        let places: [([String], Int, Int)] = [
            (["a"], 2, 1), (["b c"], 3, 1), (["b c", "d"], 3, 1), (["b c", "d", "0"], 3, 13),
            (["b c", "d", "0", "1"], 3, 17), (["b c", "d", "1"], 3, 21), (["b c", "d", "2"], 4, 3),
            (["b c", "d", "3"], 6, 9), (["g"], 7, 2), (["h"], 8, 1), (["h", "i.j"], 8, 1), (["h", "i.j", "l"], 9, 1),
            (["h", "i.j", "n"], 11, 1), (["h", "i.j", "n", "o"], 11, 1), (["h", "i.j", "r"], 12, 1), (["f"], 1, 1),
            (["m"], 1, 1),
        ]
        for (path, line, column) in places {
            #expect(positions.place(of: path) == TextPosition(line: line, column: column), "\(path)")
        }
    }

    @Test("up and check take a file, names and the options of the process")
    func commandLine() throws {
        let request = try TunnelFileRequestReader.read("up", "-fvv", "-E", "/tmp/l", "t.toml", "a", "b")
        #expect(request.file == "t.toml")
        #expect(request.names == ["a", "b"])
        #expect(request.process.background == .standing)
        #expect(request.options == ["-v", "-v"])
        #expect(request.output.logFile == "/tmp/l")
        #expect(CulvertConfigTests.fault(["up"])?.hasPrefix("no file: give one") == true)
        #expect(CulvertConfigTests.fault(["up", "-L", "1:a:2", "t.toml"])?.hasPrefix("-L: it is said") == true)
        #expect(
            CulvertConfigTests.fault(["check", "--links", "2", "t.toml"])?.hasPrefix("--links: it is said") == true)
        #expect(try tunnel(["-L", "1:a:2", "me@up"]).destination.host == "up")
    }

    private enum TunnelFileRequestReader {
        static func read(_ arguments: String...) throws -> TunnelFileRequest {
            guard
                case .up(let request) = try parseCommandLine(arguments, environment: testEnvironment, access: .nothing)
            else {
                throw NotATunnel()
            }
            return request
        }
    }
}
