/// `${NAME}` in a value, as ssh_config(5) has it under ENVIRONMENT VARIABLES.
enum VariableExpansion {
    /// Throws for a variable that is not set, and for `${` without `}`.
    static func expand(_ text: String, _ variables: [String: String]) throws(ConfigurationError) -> String {
        var expanded = ""
        var rest = Substring(text)
        while let character = rest.popFirst() {
            if character == "$", rest.first == "{" {
                expanded += try variable(from: &rest, of: text, variables)
            } else {
                expanded.append(character)
            }
        }
        return expanded
    }

    /// Takes `{NAME}` from the rest of a text.
    static func variable(from rest: inout Substring, of text: String, _ variables: [String: String])
        throws(ConfigurationError) -> String
    {
        guard let close = rest.firstIndex(of: "}") else {
            throw ConfigurationError("\(text): '${' without '}'")
        }
        let name = String(rest[rest.index(after: rest.startIndex)..<close])
        guard let value = variables[name] else {
            throw ConfigurationError("\(text): the environment has no variable \(name)")
        }
        rest = rest[rest.index(after: close)...]
        return value
    }
}
