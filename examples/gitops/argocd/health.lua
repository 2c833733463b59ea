-- What Argo CD shows of a PhoneNumber, a ProviderAccount or a ClusterProviderAccount.
local function condition(kind)
  if obj.status ~= nil and obj.status.conditions ~= nil then
    for _, found in ipairs(obj.status.conditions) do
      if found.type == kind then
        return found
      end
    end
  end
  return {}
end

local ready = condition("Ready")
local message = ready.message
if ready.reason ~= nil then
  message = ready.reason .. ": " .. (ready.message or "")
end

if obj.metadata.deletionTimestamp ~= nil then
  return { status = "Progressing", message = "in deletion: " .. (message or "waiting for the operator") }
end
if obj.spec ~= nil and obj.spec.suspend == true then
  return { status = "Suspended", message = "spec.suspend is true: nothing is written at the provider" }
end
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "the operator has not looked at this generation yet" }
end
if condition("Stalled").status == "True" then
  return { status = "Degraded", message = message }
end
if ready.status == "True" then
  return { status = "Healthy", message = message }
end
return { status = "Progressing", message = message }
