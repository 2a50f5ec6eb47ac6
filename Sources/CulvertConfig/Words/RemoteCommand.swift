/// What stands behind the destination: for ssh a command of the server's. culvert runs none there, but knows the idiom
/// `ssh -f -L … host sleep 10`: the tunnel stands for so long, and then until nobody uses it.
enum RemoteCommand: Hashable {
    case sleep(Duration)
    /// `sleep infinity`: until it is told to end.
    case sleepForever
    case other

    /// More than any machine runs, seconds: for ever.
    private static let longest = 1e9

    /// `words` as ssh joins them.
    init(_ words: [String]) {
        var rest = words.joined(separator: " ").split(whereSeparator: { $0 == " " || $0 == "\t" })[...]
        if rest.first == "exec" { rest.removeFirst() }
        guard let name = rest.popFirst(), ["sleep", "/bin/sleep", "/usr/bin/sleep"].contains(name), !rest.isEmpty else {
            self = .other
            return
        }
        var total = 0.0
        for word in rest {
            guard let seconds = Self.seconds(word) else {
                self = .other
                return
            }
            total += seconds
        }
        self = total < Self.longest ? .sleep(.milliseconds(Int(total * 1000))) : .sleepForever
    }

    /// As sleep(1) of coreutils takes a time; nil: a shell would make something else of it.
    private static func seconds(_ word: Substring) -> Double? {
        if ["infinity", "inf"].contains(word) { return longest }
        var digits = word
        var unit = 1.0
        if let last = word.last, let known = ["s": 1.0, "m": 60, "h": 3600, "d": 86400][last] {
            unit = known
            digits.removeLast()
        }
        guard digits.first.map({ $0.isASCII && $0.isNumber || $0 == "." }) == true,
            digits.allSatisfy({ $0.isASCII && $0.isNumber || $0 == "." }), let number = Double(digits)
        else { return nil }
        return min(number * unit, longest)
    }
}
