/// Where culvert reads or prints something else than ssh, and why. The test fails for a difference that is not here, and
/// for one here that does not occur.
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
            .refused, in: ["environment name in a jump", "generated 130"],
            because:
                "what a shell reads may stand neither in a host's name nor, for a command, in a user's: as ssh since 9.6"
        ),
        AllowedDifference(
            .accepted, in: ["from port 0"], because: "the kernel chooses a port, and culvert says which"),
        AllowedDifference(
            .accepted, in: ["a list: -m +", "older names"],
            because: "what MACs takes -m takes too, and a name that another version of ssh has is no mistake"),
        AllowedDifference(
            .accepted, in: ["forwards as one word"],
            because: "the argument of -L is understood in a file and behind -o too"),
        AllowedDifference(
            .accepted, in: ["culvert's own keys without IgnoreUnknown", "typed: -N -o Tag=x"],
            because: "they are known here: culvert's own, and those of later versions of ssh"),
        AllowedDifference(
            .value("identityfile"), in: ["-i of a missing file"],
            because:
                "ssh warns and leaves it out of the list; culvert keeps it and says at the login what is wrong with it"),
        AllowedDifference(
            .value("streamlocalbindmask"), .value("syslogfacility"), .value("dynamicforward"),
            because:
                "mistakes of ssh's own: it takes the mask and the facility from a Host that does not match, and prints"
                + " a forward to a socket a second time, as a dynamic one",
            fits: { $1.isEmpty || $1 == ["0117"] || $1 == ["USER"] }),
    ]
}
