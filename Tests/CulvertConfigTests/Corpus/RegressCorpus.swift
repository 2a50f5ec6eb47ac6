/// What OpenSSH's own tests of the client's configuration try (cfginclude, sshcfgparse, percent), written anew.
enum RegressCorpus {
    static let cases: [CorpusCase] = include + includeTrouble + parsing + tokens + variables + tildes

    // MARK: Include

    private static let outer = """
        Match host one
          HostName outer-one
        Match host two # what follows is a comment
          HostName outer-two
          Include @/part-*
        Match host three
          Include @/part-* # so is this
          HostName outer-three
        Match host four
          Include @/part-*
        Host five
          HostName outer-five # and this
        Host six
          HostName outer-six
          Include @/part-*
        Host seven
          Include @/part-*
          HostName outer-seven
        Host eight
          Include @/part-*
        """

    private static let parts = [
        "part-0": "Match host nobody\n",
        "part-1": """
        Match host one
          HostName first-one
        Match host two
          HostName first-two
        Match host three # comment
          HostName first-three
        Host five # comment
          HostName first-five
        Host six
          HostName first-six
        Host seven
          HostName first-seven # comment
        """,
        "part-2": """
        Match host one
          HostName second-one
        Host five
          HostName second-five
        Host seven
          HostName second-seven
        Match all # comment
          HostName second-rest # comment
        """,
    ]

    private static let include = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"].map {
        CorpusCase("include in blocks: \($0)", outer, $0, more: parts)
    }

    private static let includeTrouble = [
        CorpusCase("include nothing", "Include @/none-*\nHostName x\n"),
        CorpusCase(
            "an included Match ends with its file", "Include @/i\nHostName x\n", more: ["i": "Match host other\n"]),
        CorpusCase("an included Host ends with its file", "Include @/i\nHostName x\n", more: ["i": "Host other\n"]),
        CorpusCase("a mistake in an included file", "Include @/i\n", more: ["i": "HostName x\n  Junk\n"]),
        CorpusCase(
            "a mistake in a file included where nothing applies", "Host other\nInclude @/i\n", more: ["i": "Junk 1\n"]),
        CorpusCase("a file that includes itself", "Include @/config\n"),
        CorpusCase(
            "several files in one line", "Include @/b @/a\n", more: ["a": "Port 1\nUser ann\n", "b": "Port 2\n"]),
        CorpusCase("a pattern is sorted", "Include @/[ab]\n", more: ["a": "Port 1\n", "b": "Port 2\n"]),
        CorpusCase(
            "files in files", "Include @/a\nPort 4\n",
            more: ["a": "Include @/b\nPort 3\nUser a\n", "b": "Host other\nPort 1\nHost h*\nPort 2\n"]),
        CorpusCase("include without a file", "Include\n"), CorpusCase("include of an empty word", "Include \"\"\n"),
        CorpusCase("include with a quoted blank", "Include \"@/a b\"\n", more: ["a b": "Port 7\n"]),
    ]

    // MARK: Parsing

    private static let parsing: [CorpusCase] = [
        CorpusCase("user: -o before all", "User file\n", "-o User=opt -l flag at@host"),
        CorpusCase("user: -l before the destination", "User file\n", "-lflag at@host -oUser=opt"),
        CorpusCase("user: the destination before what follows", "User file\n", "at@host -oUser=opt -l flag"),
        CorpusCase("user: the file at last", "User file\n", "host"),
        CorpusCase("IPQoS of the command line", "Host *\n IPQoS af21 cs1\n TunnelDevice 1:2\n", "-oIPQoS=cs1 host"),
        CorpusCase("a device of the command line", "Host *\n TunnelDevice 1:2\n", "-otunneldevice=3:4 host"),
        CorpusCase("agent: no", "", "-oForwardAgent=no host"), CorpusCase("agent: yes", "", "-oForwardAgent=yes host"),
        CorpusCase("keys: these", "", "-oPubkeyAcceptedAlgorithms=ssh-ed25519 host"),
        CorpusCase("keys: not a pattern", "", "-oPubkeyAcceptedAlgorithms=-ssh-ed25519-cert* host"),
        CorpusCase("keys: not a name", "", "-oPubkeyAcceptedAlgorithms=-ssh-ed25519 host"),
        CorpusCase("keys: of hosts, added", "", "-oHostbasedAcceptedAlgorithms=+ssh-dss-cert* host"),
        CorpusCase("keys: of hosts, first", "", "-oHostbasedAcceptedAlgorithms=^ssh-rsa,ssh-dss host"),
        CorpusCase("keys: of hosts, by the older name", "", "-oHostbasedKeyTypes=ssh-rsa host"),
        CorpusCase("keys: of authorities, without", "", "-oCASignatureAlgorithms=-ecdsa* host"),
        CorpusCase("keys: of authorities, none is called so", "", "-oCASignatureAlgorithms=+nothing host"),
    ]

    // MARK: Tokens

    private static let keys = [
        "RemoteCommand", "ControlPath", "IdentityAgent", "ForwardAgent", "LocalForward", "RemoteForward",
        "UserKnownHostsFile",
    ]

    private static func trial(_ key: String, _ value: String) -> CorpusCase {
        let whole = key.hasSuffix("Forward") ? "/\(value) /\(value)" : value
        return CorpusCase(
            "\(key) \(value)", "Host some*\n HostName 127.0.0.1\n Port 4242\n HostKeyAlias Alias\n \(key) \(whole)\n",
            "remuser@somehost")
    }

    private static let tokens = keys.flatMap { key in
        [
            "%%", "%C", "%i", "%h", "%L", "%l", "%n", "%k", "%p", "%r", "%u", "%d", "%%-%i-%h-%L-%n-%p-%r-%u-%C", "%T",
            "%",
        ]
        .map { trial(key, $0) }
    }

    private static let variables = keys.dropFirst().flatMap { key in
        ["${CORPUS}", "x-${CORPUS}-y", "${NOTHING_OF_THAT_NAME}", "${CORPUS", "${}", "$CORPUS"].map { trial(key, $0) }
    }

    private static let tildes = ["ControlPath", "IdentityAgent", "ForwardAgent", "UserKnownHostsFile"].flatMap { key in
        ["~", "~/.ssh", "~//x", "a~"].map { trial(key, $0) }
    }
}
