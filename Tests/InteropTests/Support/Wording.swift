/// The words that the tests look for in what a program says, all in one place.
///
/// They are key words that a person needs in order to act, not whole sentences: the sentences are free to improve.
/// Where ssh says the same thing in other words, both are given.
enum Wording {
    /// One line of the subject's, when the integrity check of a packet from the server failed.
    static let linkLostToTampering = either(culvert: ["lost"], ssh: ["fatal"])
    /// Any of these in sshd's log, when a packet to it was altered.
    static let sshdFindsTampering = [
        "message authentication code incorrect", "Corrupted MAC on input", "Bad packet length", "padding error",
    ]
    static let linkLost = ["lost"]
    static let linkBack = ["back"]
    static let hostKeyRefused = ["Host key verification failed"]
    /// On the line that names a reverse forward's port while the server does not give it.
    static let reversePortStillHeld = ["again"]
    /// The line that says that accepting pauses for want of descriptors.
    static let outOfDescriptors = ["open files"]
    /// One line at -v for each flow that ended, with its bytes.
    static let flowEnded = ["bytes"]
    /// Parts of the snapshot that SIGUSR1 prints.
    static let snapshot = ["link", "forward", "flow"]

    /// The line of the snapshot that counts key exchanges.
    static let keyRenewals = ["link", "key renewals"]

    // What stops culvert, or fails within it.
    static let badForward = either(culvert: ["culvert:"], ssh: ["Bad", "forwarding specification"])
    static let portInUse = ["Address already in use"]
    static let privilegedPort = ["Permission denied"]
    static let unknownHost = ["no-such-host.invalid"]
    static let unreachableHost = ["refused"]
    static let loginRefused = ["Permission denied"]
    static let targetRefused = either(culvert: ["could not connect to the target"], ssh: ["Connection refused"])
    /// Behind a reverse forward culvert dials itself, and knows the reason.
    static let ownTargetRefused = ["refused"]
    static let rsaRefused = ["RSA", "SHA-1"]
    static let unreadableKey = ["Permission denied"]
    static let openKey = ["too open"]
    static let ringRefused = ["io_uring"]

    static func either(culvert: [String], ssh: [String]) -> [String] { Subject.isCulvert ? culvert : ssh }
}

/// Exit codes, as `culvert --help` lists them. ssh has 255 for nearly all of its own errors.
enum ExpectedCode {
    static let usage: Int32 = Subject.isCulvert ? 64 : 255
    static let system: Int32 = 71
    static let logFile: Int32 = Subject.isCulvert ? 73 : 1
    static let connection: Int32 = 255
}
