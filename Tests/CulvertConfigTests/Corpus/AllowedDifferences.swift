/// Where culvert reads or prints something else than ssh, and why: the only list of it. The test fails for a difference that
/// is not here, and for one here that does not occur, case by case.
struct AllowedDifference: Sendable {
    /// What differs.
    enum Kind: Hashable, Sendable {
        /// A key's values.
        case value(String)
        /// culvert refuses what ssh takes.
        case refused
        /// culvert takes what ssh refuses.
        case accepted
    }

    let kinds: Set<Kind>
    let reason: String
    /// By parts of the names of the cases; empty: everywhere.
    let cases: [String]

    /// What ssh and culvert print for the key.
    let fits: @Sendable (_ ssh: [String], _ culvert: [String]) -> Bool

    init(
        _ kinds: Kind..., in cases: [String] = [], because reason: String,
        fits: @escaping @Sendable (_ ssh: [String], _ culvert: [String]) -> Bool = { _, _ in true }
    ) {
        self.kinds = Set(kinds)
        self.reason = reason
        self.cases = cases
        self.fits = fits
    }

    func covers(_ difference: CorpusDifference, _ name: String) -> Bool {
        kinds.contains(difference.kind) && (cases.isEmpty || cases.contains(where: name.contains))
            && fits(difference.ssh, difference.culvert)
    }

    /// One of the cases of a difference; all of them where none is named.
    struct Part: Hashable, Sendable {
        let reason: String
        let name: String

        func covers(_ name: String) -> Bool { self.name.isEmpty || name.contains(self.name) }
    }

    var parts: [Part] { (cases.isEmpty ? [""] : cases).map { Part(reason: reason, name: $0) } }

    static let all = [
        AllowedDifference(
            .value("ciphers"), .value("macs"), .value("kexalgorithms"), .value("hostkeyalgorithms"),
            .value("pubkeyacceptedalgorithms"),
            because: "culvert prints what its engine will offer, which is not what ssh has"
        ) { _, culvert in
            Set(culvert.flatMap { $0.split(separator: ",").map(String.init) }).isSubset(of: Corpus.engineNames)
        },
        AllowedDifference(
            .value("serveraliveinterval"), because: "15 where nothing is set: a dead link is noticed without traffic",
            // Debian's ssh has 300 in batch mode.
            fits: { ($0 == ["0"] || $0 == ["300"]) && $1 == ["15"] }),
        AllowedDifference(
            .refused,
            in: [
                "environment name in a jump", "generated 130", "two values for a jump", "a jump with a blank",
                "a carriage return in the middle", "a HostName with a user", "a HostName that begins with a dash",
                "line: -l \"\"", "line: ann@", "line: sftp://", "line: host:22", "line: -L 1::2",
            ],
            because:
                "what can be no name is told at once, where ssh fails when it looks it up; and what a shell or a terminal reads"
                + " stands in no name, for jumps as ssh has it since 9.6"
        ),
        AllowedDifference(
            .accepted, in: ["from port 0", "of port nought", "line: -D 0"],
            because: "the kernel chooses a port, and culvert says which"),
        AllowedDifference(
            .accepted, in: ["a list: -m +", "older names", "aes128-cbc,arcfour"],
            because: "what MACs takes -m takes too, and a name that another version of ssh has is no mistake"),
        AllowedDifference(
            .accepted, .value("host"), .value("hostname"), .value("localforward"),
            in: [
                "forwards as one word", "line: ssh://[::1]", "line: ssh://ann@[2001", "line: [::1]",
                "a HostName of an address in brackets", "line: -N -L ~/pg",
            ],
            because:
                "understood, where ssh refuses it or fails later: the argument of -L in a file and behind -o, an address in"
                + " brackets, and ~/ in a socket's path"),
        AllowedDifference(
            .accepted, .value("port"), .value("user"), .value("host"), .value("hostname"), .value("tag"),
            .value("clearallforwardings"), .value("exitonforwardfailure"),
            in: [
                "culvert's own keys without IgnoreUnknown", "typed: -N -o Tag=x", "line: -P tag",
                "an Include with a variable in its name", "a User with a token", "a User with a variable",
                "line: -W /run",
            ],
            because: "known here: culvert's own keys, and what later versions of ssh have"),
        AllowedDifference(
            .value("identityfile"), in: ["-i "],
            because:
                "ssh warns of a file of -i that is missing and leaves it out of the list; culvert keeps it and says at the"
                + " login what is wrong with it"),
        AllowedDifference(
            .value("streamlocalbindmask"), .value("syslogfacility"), .value("dynamicforward"),
            because:
                "mistakes of ssh's own: it takes the mask and the facility from a Host that does not match, and prints"
                + " a forward to a socket a second time, as a dynamic one",
            fits: { $1.isEmpty || $1 == ["0117"] || $1 == ["USER"] }),
    ]
}
