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

    let kind: Kind
    let reason: String
    /// By a part of the name of the cases; nil: everywhere.
    let cases: String?

    /// What ssh and culvert print for the key.
    let fits: @Sendable (_ ssh: [String], _ culvert: [String]) -> Bool

    init(
        _ kind: Kind, in cases: String? = nil, _ reason: String,
        fits: @escaping @Sendable (_ ssh: [String], _ culvert: [String]) -> Bool = { _, _ in true }
    ) {
        self.kind = kind
        self.reason = reason
        self.cases = cases
        self.fits = fits
    }

    func covers(_ difference: CorpusDifference, _ name: String) -> Bool {
        difference.kind == kind && cases.map { name.contains($0) } ?? true
            && fits(difference.ssh, difference.culvert)
    }

    static let all: [AllowedDifference] = engine + culverts + ssh

    private static let engine = [
        "ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "pubkeyacceptedalgorithms",
    ].map {
        AllowedDifference(.value($0), "culvert prints what its engine will offer, which is not what ssh has") {
            _, culvert in
            Set(culvert.flatMap { $0.split(separator: ",").map(String.init) }).isSubset(of: Corpus.engineNames)
        }
    }

    private static let culverts = [
        AllowedDifference(
            .value("serveraliveinterval"), "15 where nothing is set: a dead link is noticed without traffic",
            // Debian's ssh has 300 in batch mode.
            fits: { ($0 == ["0"] || $0 == ["300"]) && $1 == ["15"] }),
        AllowedDifference(
            .refused, in: "ServerAliveCountMax 0", "a link would be dead before the server could answer"),
        AllowedDifference(
            .refused, in: "environment name in a jump", "what a shell reads can stand in no host's name"),
        AllowedDifference(
            .refused, in: "generated 130", "a user's name that a shell reads may not stand in a command of Match exec"),
        AllowedDifference(.accepted, in: "from port 0", "the kernel chooses a port, and culvert says which"),
        AllowedDifference(
            .accepted, in: "a list: -m +", "what MACs takes -m takes too"),
        AllowedDifference(
            .accepted, in: "older names", "files are read that were written for other versions"),
        AllowedDifference(
            .accepted, in: "forwards as one word", "the argument of -L is understood in a file and behind -o too"),
        AllowedDifference(
            .accepted, in: "a key of a later ssh", "files are read that were written for later versions"),
        AllowedDifference(
            .accepted, in: "Match tagged", "files are read that were written for later versions"),
        AllowedDifference(
            .accepted, in: "culvert's own keys without IgnoreUnknown", "they are known here"),
        AllowedDifference(
            .value("identityfile"), in: "-i of a missing file",
            "ssh warns and leaves it out of the list; culvert keeps it and says at the login what is wrong with it"),
    ]

    private static let ssh = [
        AllowedDifference(
            .value("streamlocalbindmask"), in: "mask where nothing applies",
            "ssh takes the mask from a Host that does not match, and the last one: a mistake of its own"),
        AllowedDifference(
            .value("syslogfacility"), in: "facility where nothing applies",
            "ssh takes the facility from a Host that does not match: a mistake of its own"),
        AllowedDifference(
            .value("dynamicforward"),
            "ssh prints a forward to a socket a second time, as a dynamic one: a mistake of its own",
            fits: { !$0.isEmpty && $1.isEmpty }),
    ]
}
