/// A JSON object as it is written, its members in the order in which they came.
struct JSONObject {
    private var members: [String] = []

    var text: String { "{" + members.joined(separator: ", ") + "}" }

    mutating func add(_ name: String, text: String) { members.append("\(Self.quoted(name)): \(text)") }
    mutating func add(_ name: String, _ value: String) { add(name, text: Self.quoted(value)) }
    mutating func add(_ name: String, object: JSONObject) { add(name, text: object.text) }
    mutating func add(_ name: String, objects: [JSONObject]) {
        add(name, text: "[" + objects.map(\.text).joined(separator: ", ") + "]")
    }
    mutating func add(_ name: String, strings: [String]) {
        add(name, text: "[" + strings.map(Self.quoted).joined(separator: ", ") + "]")
    }
    /// Whole numbers without a point.
    mutating func add(_ name: String, _ value: Double) {
        precondition(value.isFinite, "JSON has finite numbers only")
        let isWhole = value == value.rounded() && abs(value) < 9e15
        add(name, text: isWhole ? "\(Int64(value))" : "\(value)")
    }

    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
