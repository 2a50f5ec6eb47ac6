/// The words that the tests look for in what a program says, all in one place.
///
/// They are key words that a person needs in order to act, not whole sentences: the sentences are free to improve.
enum Wording {
    /// One line of the subject's, when the integrity check of a packet from the server failed.
    static let linkLostToTampering = Subject.isCulvert ? ["lost"] : ["fatal"]
    /// On the line that names a reverse forward's port while the server does not give it.
    static let reversePortStillHeld = ["again"]
    /// The line that says that accepting pauses for want of descriptors.
    static let outOfDescriptors = ["open files"]
    /// Any of these in sshd's log, when a packet to it was altered.
    static let sshdFindsTampering = [
        "message authentication code incorrect", "Corrupted MAC on input", "Bad packet length", "padding error",
    ]
}
